//! The conversation, played by hand.

use super::*;
use crate::snapshot::Wanted;
use crate::value::{Atom, Datum, Uuid};
use proptest::prelude::*;

const ROW: &str = "11111111-2222-3333-4444-555555555555";

fn session() -> Session {
    let wanted = WantedTables::from([("Bridge", vec![Wanted { column: "name", alert: true }])]);
    Session::new("Open_vSwitch", "ovs_vswitchd", wanted)
}

/// Takes the messages that the session wants to send.
fn sent(session: &mut Session) -> Vec<Value> {
    let mut framer = Framer::new(1 << 20);
    framer.push(&mem::take(session.output()));
    std::iter::from_fn(|| framer.next_value().unwrap()).collect()
}

fn answer(session: &mut Session, request: &Value, result: Value) {
    let reply = Message::Reply { result, id: request["id"].clone() };
    session.receive(&reply.to_bytes()).unwrap();
}

fn refuse(session: &mut Session, request: &Value, error: Value) -> Result<(), SessionError> {
    let reply = Message::Error { error, id: request["id"].clone() };
    session.receive(&reply.to_bytes())
}

fn notify(session: &mut Session, method: &str, params: Value) -> Result<(), SessionError> {
    let Value::Array(params) = params else { panic!("params") };
    session.receive(&Message::Notification { method: method.into(), params }.to_bytes())
}

/// Goes through `get_schema`; returns the requests for the lock and the monitor.
fn open(session: &mut Session) -> (Value, Value) {
    session.connected();
    let [get_schema] = sent(session).try_into().unwrap();
    assert_eq!(
        (&get_schema["method"], &get_schema["params"]),
        (&json!("get_schema"), &json!(["Open_vSwitch"]))
    );
    let schema = json!({"version": "8.3.1", "tables": {"Bridge": {"columns": {"name": {"type": "string"}}}}});
    answer(session, &get_schema, schema);
    let [lock, monitor] = sent(session).try_into().unwrap();
    assert_eq!((&lock["method"], &lock["params"]), (&json!("lock"), &json!(["ovs_vswitchd"])));
    (lock, monitor)
}

fn live(session: &mut Session) {
    let (lock, monitor) = open(session);
    answer(session, &lock, json!({"locked": true}));
    answer(session, &monitor, json!([false, "t1", {"Bridge": {ROW: {"initial": {"name": "br0"}}}}]));
    assert!(session.is_live());
}

fn name(session: &Session) -> Option<Value> {
    let row = session.snapshot()?.row("Bridge", ROW.parse().unwrap())?;
    row.cell("name").map(Datum::to_json)
}

fn rename() -> Transaction {
    let mut transaction = Transaction::default();
    let name = Datum::Set([Atom::String("br1".into())].into());
    transaction.set("Bridge", ROW.parse::<Uuid>().unwrap(), "name", &name);
    transaction
}

#[test]
fn the_best_monitor_is_asked_for_first() {
    let mut session = session();
    let (_, monitor) = open(&mut session);
    assert_eq!(monitor["method"], "monitor_cond_since");
    assert_eq!(monitor["params"][2], json!({"Bridge": [{"columns": ["name"]}]}));
    assert_eq!(monitor["params"][3], NO_TRANSACTION);
    answer(&mut session, &monitor, json!([false, "t1", {"Bridge": {ROW: {"initial": {"name": "br0"}}}}]));
    assert_eq!(name(&session), Some(json!("br0")));
    let before = session.seqno();
    notify(
        &mut session,
        "update3",
        json!([["monid", "Open_vSwitch"], "t2", {"Bridge": {ROW: {"delete": null}}}]),
    )
    .unwrap();
    assert_eq!(name(&session), None);
    assert!(session.seqno() > before);
}

#[test]
fn older_servers_get_older_monitors() {
    let mut session = session();
    let (_, monitor) = open(&mut session);
    refuse(&mut session, &monitor, json!("unknown method")).unwrap();
    let [cond] = sent(&mut session).try_into().unwrap();
    assert_eq!((&cond["method"], cond["params"].as_array().unwrap().len()), (&json!("monitor_cond"), 3));
    refuse(&mut session, &cond, json!({"error": "unknown method", "syntax": "x"})).unwrap();
    let [plain] = sent(&mut session).try_into().unwrap();
    assert_eq!(plain["method"], "monitor");
    answer(&mut session, &plain, json!({"Bridge": {ROW: {"new": {"name": "br0"}}}}));
    assert!(session.is_live());
    notify(
        &mut session,
        "update",
        json!([null, {"Bridge": {ROW: {"old": {"name": "br0"}, "new": {"name": "br9"}}}}]),
    )
    .unwrap();
    assert_eq!(name(&session), Some(json!("br9")));
}

#[test]
fn a_server_without_the_database_ends_the_conversation() {
    let mut session = session();
    session.connected();
    let [get_schema] = sent(&mut session).try_into().unwrap();
    let error = refuse(&mut session, &get_schema, json!({"error": "unknown database", "details": "none"}));
    assert_eq!(error.unwrap_err().to_string(), "get_schema failed: unknown database: none");
}

#[test]
fn the_lock_is_waited_for_and_lost_when_stolen() {
    let mut session = session();
    let (lock, _) = open(&mut session);
    assert_eq!(session.lock(), Lock::Unknown);
    answer(&mut session, &lock, json!({"locked": false}));
    assert_eq!(session.lock(), Lock::Contended);
    notify(&mut session, "locked", json!(["another"])).unwrap();
    assert_eq!(session.lock(), Lock::Contended);
    notify(&mut session, "locked", json!(["ovs_vswitchd"])).unwrap();
    assert_eq!(session.lock(), Lock::Held);
    notify(&mut session, "stolen", json!(["ovs_vswitchd"])).unwrap();
    assert_eq!(session.lock(), Lock::Contended);
}

#[test]
fn after_a_break_only_the_news_is_asked_for() {
    let mut session = session();
    live(&mut session);
    let id = session.transact(&rename());
    session.disconnected();
    assert_eq!(session.take_outcomes(), [(id, Outcome::Lost)]);
    assert_eq!((session.lock(), session.is_live()), (Lock::Unknown, false));
    assert_eq!(name(&session), Some(json!("br0")), "the last snapshot serves meanwhile");

    let (_, monitor) = open(&mut session);
    assert_eq!(monitor["params"][3], "t1");
    let before = session.seqno();
    answer(&mut session, &monitor, json!([true, "t5", {}]));
    assert_eq!((name(&session), session.seqno()), (Some(json!("br0")), before));
}

#[test]
fn an_update_that_does_not_fit_ends_the_conversation_and_its_memory() {
    let mut session = session();
    live(&mut session);
    let bad = json!([null, "t2", {"Bridge": {ROW: {"modify": {"name": 5}}}}]);
    assert!(matches!(notify(&mut session, "update3", bad), Err(SessionError::Update(_))));
    let (_, monitor) = open(&mut session);
    assert_eq!(monitor["params"][3], NO_TRANSACTION);
}

#[test]
fn transactions_assert_the_lock_and_report_how_they_ended() {
    let mut session = session();
    live(&mut session);
    let ids = [session.transact(&rename()), session.transact(&rename()), session.transact(&rename())];
    let requests = sent(&mut session);
    assert_eq!(requests[0]["params"][1], json!({"op": "assert", "lock": "ovs_vswitchd"}));
    answer(&mut session, &requests[0], json!([{}, {"count": 1}]));
    answer(&mut session, &requests[1], json!([{"error": "not owner"}, null]));
    refuse(&mut session, &requests[2], json!("canceled")).unwrap();
    let expected =
        [Outcome::Committed, Outcome::Refused("not owner".into()), Outcome::Refused("canceled".into())];
    assert_eq!(session.take_outcomes(), ids.into_iter().zip(expected).collect::<Vec<_>>());
}

#[test]
fn echoes_are_answered() {
    let mut session = session();
    live(&mut session);
    let echo = Message::Request { method: "echo".into(), params: vec![json!("x")], id: json!("echo") };
    session.receive(&echo.to_bytes()).unwrap();
    assert_eq!(sent(&mut session), [json!({"result": ["x"], "error": null, "id": "echo"})]);
}

/// JSON texts that look like the server's, more or less.
fn server_text() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        "[a-z]{0,4}".prop_map(Value::from),
        Just(json!(ROW)),
        Just(json!("set")),
        Just(json!("map")),
        Just(json!("uuid")),
        (-2_i64..9).prop_map(Value::from),
        Just(Value::Null),
        Just(json!(true)),
    ];
    let key = prop_oneof![
        Just("Bridge".to_owned()),
        Just(ROW.to_owned()),
        prop::sample::select(vec!["initial", "insert", "modify", "delete", "new", "name", "locked"])
            .prop_map(str::to_owned),
    ];
    let tree = word.prop_recursive(5, 24, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    let method =
        prop::sample::select(vec!["update", "update2", "update3", "locked", "stolen", "echo", "odd"]);
    let params = prop::collection::vec(tree.clone(), 0..4);
    prop_oneof![
        (method, params).prop_map(|(method, params)| json!({"id": null, "method": method, "params": params})),
        (0_u64..6, tree.clone()).prop_map(|(id, result)| json!({"id": id, "result": result, "error": null})),
        (0_u64..6, tree).prop_map(|(id, error)| json!({"id": id, "result": null, "error": error})),
    ]
}

proptest! {
    #[test]
    fn whatever_the_server_says_is_survived(
        alive in any::<bool>(),
        texts in prop::collection::vec(server_text(), 1..8),
    ) {
        let mut session = session();
        if alive { live(&mut session) } else { session.connected() }
        for text in texts {
            if session.receive(text.to_string().as_bytes()).is_err() {
                session.connected();
            }
        }
    }
}
