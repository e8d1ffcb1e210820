//! The table of what is refused, and of what opens it.

use super::*;

fn guard(change: impl FnOnce(&mut HttpSettings)) -> Guard {
    let mut settings = HttpSettings::default();
    change(&mut settings);
    Guard::new(&settings)
}

async fn admit(guard: &Guard, url: &str) -> Result<Admitted, Fault> {
    guard.admit(Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))).await
}

/// Every way we know to name a place that is not the open internet.
const FORBIDDEN: [&str; 42] = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://127.0.0.1./",
    "http://127.000.000.001/",
    "http://%31%32%37.0.0.1/",
    "http://①②⑦.⓪.⓪.①/",
    "http://localhost/",
    "http://LocalHost/",
    "http://0/",
    "http://0.0.0.0:8000/",
    "http://10.1.2.3/",
    "http://172.20.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://224.0.0.251/",
    "http://255.255.255.255/",
    "http://[::1]/",
    "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "https://192.0.0.192/",
    "https://198.18.0.1/",
];

#[tokio::test]
async fn nothing_but_the_open_internet_is_called_by_default() {
    let guard = guard(|_| {});
    for url in FORBIDDEN {
        let fault = admit(&guard, url).await.expect_err(url);
        assert_eq!((fault.code.as_str(), fault.retryable), ("refused", false), "{url}: {fault}");
        assert!(fault.message.contains("http.allow_hosts"), "{url} says how to allow it: {fault}");
    }
    for url in ["https://8.8.8.8/", "http://[2606:4700::1111]:8080/"] {
        admit(&guard, url).await.expect(url);
    }
}

#[tokio::test]
async fn only_http_without_userinfo() {
    let guard = guard(|settings| settings.allow_loopback = true);
    for url in [
        "ftp://8.8.8.8/",
        "file:///etc/passwd",
        "gopher://8.8.8.8/",
        "data:text/plain,x",
        "unix:/run/docker.sock",
        "http://user@8.8.8.8/",
        "http://user:secret@8.8.8.8/",
        "http://8.8.8.8@127.0.0.1/",
    ] {
        let fault = admit(&guard, url).await.expect_err(url);
        assert_eq!(fault.code, "refused", "{url}");
        assert!(!fault.message.contains("secret"), "{fault}");
    }
}

#[tokio::test]
async fn each_switch_opens_its_own_range_only() {
    let loopback = guard(|settings| settings.allow_loopback = true);
    let private = guard(|settings| settings.allow_private = true);
    for (url, by_loopback, by_private) in [
        ("http://127.0.0.1/", true, false),
        ("http://localhost/", true, false),
        ("http://[::1]/", true, false),
        ("http://10.0.0.1/", false, true),
        ("http://100.64.0.1/", false, true),
        ("http://[fd00::1]/", false, true),
        ("http://169.254.169.254/", false, false),
        ("http://0.0.0.0/", false, false),
        ("http://[::ffff:127.0.0.1]/", false, false),
        ("http://[::ffff:10.0.0.1]/", false, false),
        ("http://224.0.0.1/", false, false),
    ] {
        assert_eq!(admit(&loopback, url).await.is_ok(), by_loopback, "{url} with allow_loopback");
        assert_eq!(admit(&private, url).await.is_ok(), by_private, "{url} with allow_private");
    }
}

#[test]
fn one_bad_address_among_good_ones_refuses_the_host() {
    let guard = guard(|_| {});
    let good: SocketAddr = "8.8.8.8:80".parse().expect("an address");
    let bad: SocketAddr = "10.0.0.1:80".parse().expect("an address");
    assert!(guard.check("mixed.example", 80, &[good]).is_ok());
    assert!(guard.check("mixed.example", 80, &[good, bad]).is_err());
    assert!(guard.check("mixed.example", 80, &[bad, good]).is_err());
}

#[test]
fn listed_hosts_are_exempt_by_name_domain_address_and_port() {
    let guard = guard(|settings| {
        settings.allow_hosts =
            ["db.internal", "*.corp.example", "10.0.0.9", "Api.Local:8080", "[fd00::1]:90"]
                .map(Into::into)
                .into();
    });
    let private = ["10.0.0.1:80".parse().expect("an address")];
    for (host, port, allowed) in [
        ("db.internal", 80, true),
        ("DB.internal.", 443, true),
        ("db.internal.evil.example", 80, false),
        ("a.corp.example", 80, true),
        ("b.a.corp.example", 80, true),
        ("corp.example", 80, false),
        ("evilcorp.example", 80, false),
        ("10.0.0.9", 80, true),
        ("10.0.0.99", 80, false),
        ("api.local", 8_080, true),
        ("api.local", 80, false),
        ("[fd00::1]", 90, true),
        ("[fd00::1]", 80, false),
    ] {
        assert_eq!(guard.check(host, port, &private).is_ok(), allowed, "{host}:{port}");
    }
}

#[tokio::test]
async fn the_node_itself_is_never_called() {
    for listener in ["127.0.0.1:8000", "0.0.0.0:8000", "[::]:8000"] {
        let guard = guard(|settings| {
            settings.allow_loopback = true;
            settings.allow_hosts = vec!["127.0.0.1".into(), "localhost".into(), "0.0.0.0".into()];
            settings.own_listeners = vec![listener.parse().expect("an address")];
        });
        for url in ["http://127.0.0.1:8000/", "http://localhost:8000/", "http://0.0.0.0:8000/"] {
            let fault = admit(&guard, url).await.expect_err(url);
            assert!(fault.message.contains("this node itself"), "{listener}, {url}: {fault}");
        }
        admit(&guard, "http://127.0.0.1:8001/").await.expect("another port is another program");
    }
}

#[tokio::test]
async fn a_name_without_an_address_may_get_one() {
    let fault = admit(&guard(|_| {}), "http://no-such-host.invalid/").await.expect_err("reserved for this");
    assert_eq!((fault.code.as_str(), fault.retryable), ("connection", true));
}
