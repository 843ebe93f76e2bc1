# Turnout: every target installs what it needs on a bare Debian 12 and needs nothing typed before it.

PREFIX ?= /usr
DESTDIR ?=
SECONDS_OF_SOAK ?= 1800
SEED ?=
ROWS ?=
CARGO ?= cargo

.PHONY: all build demo test test-quick lint bench bench-peers soak install install-alternative uninstall clean

all: build

build:
	@scripts/setup.sh build
	$(CARGO) build --release --locked --bin turnoutd

demo: build
	@scripts/setup.sh demo
	@scripts/demo.sh

test: build
	@scripts/setup.sh test
	@scripts/test.sh

lint:
	@scripts/setup.sh build
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@scripts/deny.sh

bench: build
	@scripts/setup.sh bench
	@scripts/bench.py

# All rows, or those named: make bench-peers ROWS="a c" FLOWS="1 10000"
bench-peers: build
	@scripts/setup.sh bench-peers
	@scripts/bench-peers.py $(if $(ROWS),--rows "$(ROWS)") $(if $(FLOWS),--flows "$(FLOWS)")

# The long run of the oracle: make soak SECONDS_OF_SOAK=60 SEED=7
soak:
	@scripts/setup.sh build
	$(CARGO) run --release --locked -p oracle -- --seconds $(SECONDS_OF_SOAK) $(if $(SEED),--seed $(SEED))

install: build
	install -D -m 755 target/release/turnoutd $(DESTDIR)$(PREFIX)/sbin/turnoutd
	install -D -m 644 dist/turnoutd.8 $(DESTDIR)$(PREFIX)/share/man/man8/turnoutd.8
	install -D -m 644 dist/turnoutd.service $(DESTDIR)/lib/systemd/system/turnoutd.service

# Puts turnoutd behind the name ovs-vswitchd, in the way of Debian's packages.
install-alternative: install
	update-alternatives --install /usr/sbin/ovs-vswitchd ovs-vswitchd $(PREFIX)/sbin/turnoutd 200
	update-alternatives --set ovs-vswitchd $(PREFIX)/sbin/turnoutd

uninstall:
	-update-alternatives --remove ovs-vswitchd $(PREFIX)/sbin/turnoutd
	rm -f $(DESTDIR)$(PREFIX)/sbin/turnoutd $(DESTDIR)$(PREFIX)/share/man/man8/turnoutd.8 \
	    $(DESTDIR)/lib/systemd/system/turnoutd.service

clean:
	$(CARGO) clean
