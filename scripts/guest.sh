#!/usr/bin/env bash
# Makes the kernel and the initramfs that the tests boot in a virtual machine: Debian's cloud kernel and busybox.
# usage: scripts/guest.sh FOLDER
set -euo pipefail
out=$1
[ -e "$out/initramfs" ] && exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ { print $2; exit }')
(cd "$work" && apt-get -q download "$package")
dpkg -x "$work"/linux-image-*.deb "$work/kernel"

root="$work/root"
mkdir -p "$root"/{bin,dev,proc,sys,modules} "$out"
cp /bin/busybox "$root/bin/"
modules="virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci failover net_failover virtio_net"
for module in $modules; do
    find "$work/kernel" -name "$module.ko" -exec cp {} "$root/modules/" \;
done
cat >"$root/init" <<INIT
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in $modules; do insmod /modules/\$module.ko; done
for word in \$(cat /proc/cmdline); do
    case \$word in address=*) address=\${word#address=} ;; esac
done
ip addr add \$address dev eth0
ip link set eth0 up
echo "guest is up"
# What comes to port 5001 is answered on the console by its checksum.
while :; do nc -l -p 5001 | md5sum; done
INIT
chmod 755 "$root/init"
(cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$out/initramfs.new"
cp "$work"/kernel/boot/vmlinuz-* "$out/vmlinuz"
mv "$out/initramfs.new" "$out/initramfs"
