//! Import from stock `git http-backend` behind TLS: what comes, what it leaves when it fails, and where it never goes.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use workroom_tests::tools::{git, python, succeed};
use workroom_tests::{Platform, Project, Team, deployed};

/// A git server as others run it, with doors that lead elsewhere. It writes down what it is asked.
const SERVER: &str = r#"
import base64, http.server, os, socketserver, ssl, subprocess, sys, time
root, cert, key, log = sys.argv[1:5]
TRAPS = {
    'http': 'http://127.0.0.1:1/x/info/refs?service=git-upload-pack',
    'metadata': 'https://169.254.169.254/x/info/refs?service=git-upload-pack',
    'file': 'file:///etc/passwd',
    'elsewhere': 'https://localhost/login',
}
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *_): pass
    def answer(self, status, body=b'', **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace('_', '-'), value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def serve(self):
        body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        with open(log, 'a') as file:
            file.write(f"{self.command} {self.path} {'proof' if 'Authorization' in self.headers else 'bare'}\n")
        path, _, query = self.path.partition('?')
        door, _, rest = path[1:].partition('/')
        if door == 'private':
            wanted = 'Basic ' + base64.b64encode(b'ada:s3cret-of-the-source').decode()
            if self.headers.get('Authorization') != wanted:
                return self.answer(401, WWW_Authenticate='Basic realm="x"')
        elif door == 'moved':
            return self.answer(301, Location=f'/open/{rest}?{query}')
        elif door == 'loop':
            return self.answer(302, Location=self.path)
        elif door == 'trap':
            return self.answer(302, Location=TRAPS[rest.split('/')[0]])
        elif door == 'page':
            return self.answer(200, b'<html>', Content_Type='text/html')
        elif door == 'slow' and b'command=fetch' in body:
            time.sleep(120)
        elif door == 'cut' and b'command=fetch' in body:
            kind = 'application/x-git-upload-pack-result'
            return self.answer(200, b'000dpackfile\n0011\x01PACK\0\0\0\2\x7f\xff\xff\xff', Content_Type=kind)
        env = dict(os.environ, GIT_PROJECT_ROOT=root, GIT_HTTP_EXPORT_ALL='1', PATH_INFO='/' + rest,
                   QUERY_STRING=query, REQUEST_METHOD=self.command, CONTENT_LENGTH=str(len(body)),
                   CONTENT_TYPE=self.headers.get('Content-Type', ''), GIT_PROTOCOL=self.headers.get('Git-Protocol', ''))
        out = subprocess.run(['git', 'http-backend'], input=body, env=env, stdout=subprocess.PIPE).stdout
        head, _, content = out.partition(b'\r\n\r\n')
        headers = dict(line.split(': ', 1) for line in head.decode().split('\r\n') if ': ' in line)
        status = int(headers.pop('Status', '200').split()[0])
        self.answer(status, content, **{name.replace('-', '_'): value for name, value in headers.items()})
    do_GET = do_POST = serve
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
server = Server(('127.0.0.1', 0), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
"#;

/// The server elsewhere; it ends with the test.
struct Elsewhere {
    folder: TempDir,
    process: Child,
    port: u16,
}

impl Elsewhere {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let openssl = |arguments: &[&str]| {
            succeed(Command::new("openssl").current_dir(folder.path()).args(arguments));
        };
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=test"];
        openssl(&[&["req", "-x509", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem"], &key[..]].concat());
        openssl(&[&["req", "-new", "-keyout", "key.pem", "-out", "request.pem"], &key[..]].concat());
        std::fs::write(at("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
        openssl(&[
            "x509",
            "-req",
            "-in",
            "request.pem",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "names",
            "-out",
            "cert.pem",
        ]);
        std::fs::create_dir(at("repositories")).unwrap();
        let mut process = python()
            .args(["-c", SERVER])
            .args([at("repositories"), at("cert.pem"), at("key.pem"), at("log")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { folder, process, port: line.trim().parse().unwrap() }
    }

    fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn url(&self, door: &str) -> String {
        format!("https://localhost:{}/{door}/shop.git", self.port)
    }

    fn asked(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A repository with branches, tags and a default branch of its own; the answer is its folder.
    fn repository(&self) -> PathBuf {
        let bare = self.folder.path().join("repositories/shop.git");
        let work = self.folder.path().join("work");
        succeed(&mut git(self.folder.path(), &["init", "-q", "-b", "trunk", "work"]));
        for number in 0..30 {
            std::fs::create_dir_all(work.join("src")).unwrap();
            std::fs::write(work.join(format!("src/{}.txt", number % 7)), format!("{number}\n").repeat(200)).unwrap();
            succeed(&mut git(&work, &["add", "."]));
            succeed(&mut git(&work, &["commit", "-q", "-m", &format!("number {number}")]));
        }
        std::fs::write(work.join(".gitattributes"), "*.bin filter=lfs diff=lfs merge=lfs -text\n").unwrap();
        succeed(&mut git(&work, &["add", "."]));
        succeed(&mut git(&work, &["commit", "-q", "-m", "attributes"]));
        succeed(&mut git(&work, &["branch", "feature/one", "HEAD~5"]));
        succeed(&mut git(&work, &["tag", "-a", "v1", "-m", "one", "HEAD~3"]));
        succeed(&mut git(&work, &["tag", "light", "HEAD~4"]));
        succeed(&mut git(self.folder.path(), &["clone", "-q", "--mirror", "work", bare.to_str().unwrap()]));
        bare
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        // It may have ended with an error that the test shows anyway.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A team on a platform whose operator lets imports come from this machine.
fn team(elsewhere: &Elsewhere) -> Team {
    let authority = elsewhere.authority();
    let options =
        ["--allow-import-from", "127.0.0.1", "--allow-import-from", "::1", "--import-ca", authority.to_str().unwrap()];
    Team::on(Platform::start_with(&options))
}

fn import(team: &Team, slug: &str, import: Value) -> (Project, Value) {
    let body = json!({"slug": slug, "name": slug, "import": import});
    let made = team.person.post("/projects", &body).expect(201).json();
    let project = Project { slug: slug.to_owned(), client: team.person.clone() };
    let job = project.wait(made["import_job"].as_str().unwrap());
    (project, job)
}

fn refs(of: &Path) -> String {
    succeed(&mut git(of, &["for-each-ref", "--format=%(refname) %(objectname)"]))
}

#[test]
fn a_repository_comes_whole_with_its_branches_tags_and_default_branch() {
    if deployed::leaves_out("the source is on this machine") {
        return;
    }
    let elsewhere = Elsewhere::start();
    let source = elsewhere.repository();
    let team = team(&elsewhere);
    for door in ["open", "moved"] {
        let (project, job) = import(&team, door, json!({"url": elsewhere.url(door)}));
        let job = project.succeeded(job);
        assert_eq!((&job["kind"], &job["result"]["refs"]), (&json!("import"), &json!(4)));
        assert!(job["result"]["notes"][0].as_str().unwrap().contains("Git LFS"), "{job}");
        let seen = project.client.get(&project.path("")).expect(200).json();
        assert_eq!((&seen["default_branch"], &seen["import_url"]), (&json!("trunk"), &json!(elsewhere.url(door))));
        let folder = tempfile::tempdir().unwrap();
        let url = project.git_url(&team.platform);
        succeed(&mut git(folder.path(), &["clone", "-q", "--mirror", &url, "copy"]));
        let copy = folder.path().join("copy");
        assert_eq!(refs(&copy), refs(&source));
        assert_eq!(succeed(&mut git(&copy, &["symbolic-ref", "HEAD"])).trim(), "refs/heads/trunk");
        succeed(&mut git(&copy, &["fsck", "--strict", "--full"]));
        let log = project.log(job["id"].as_str().unwrap());
        assert!(log.contains("importing https://localhost") && log.contains("remote: "), "{log}");
        let events = project.client.get(&project.path("/events?after=0&limit=100")).expect(200).json();
        let kinds: Vec<&str> =
            events["items"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
        assert!(kinds.contains(&"project.imported") && kinds.contains(&"git.pushed"), "{kinds:?}");
        // What is full is not filled again.
        let again = json!({"url": elsewhere.url(door)});
        project.client.post(&project.path("/imports"), &again).expect(409);
    }
}

/// Whether any file below the folder has these bytes.
fn is_anywhere(folder: &Path, text: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| match path.is_dir() {
        true => is_anywhere(&path, text),
        false => std::fs::read(&path).is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text)),
    })
}

#[test]
fn an_import_that_fails_says_why_and_goes_again_with_the_right_password_which_nobody_keeps() {
    if deployed::leaves_out("the source is on this machine") {
        return;
    }
    let elsewhere = Elsewhere::start();
    let source = elsewhere.repository();
    let team = team(&elsewhere);
    let (project, job) = import(&team, "private", json!({"url": elsewhere.url("private")}));
    assert_eq!(job["state"], "failed");
    assert!(job["error"].as_str().unwrap().contains("user name and a password"), "{job}");
    let wrong = json!({"url": elsewhere.url("private"), "username": "ada", "password": "wrong"});
    let job = project.client.post(&project.path("/imports"), &wrong).expect(202).json();
    assert_eq!(project.wait(job["id"].as_str().unwrap())["state"], "failed");
    let right = json!({"url": elsewhere.url("private"), "username": "ada", "password": "s3cret-of-the-source"});
    let job = project.client.post(&project.path("/imports"), &right).expect(202).json();
    let job = project.succeeded(project.wait(job["id"].as_str().unwrap()));
    let folder = tempfile::tempdir().unwrap();
    succeed(&mut git(folder.path(), &["clone", "-q", "--mirror", &project.git_url(&team.platform), "copy"]));
    assert_eq!(refs(&folder.path().join("copy")), refs(&source));
    let told = format!("{job}{}{}", project.log(job["id"].as_str().unwrap()), team.platform.printed());
    assert!(!told.contains("s3cret"), "{told}");
    assert!(is_anywhere(team.platform.data(), b"import"), "the search finds what is there");
    assert!(!is_anywhere(team.platform.data(), b"s3cret-of-the-source"), "the password lies on the disk");
}

#[test]
fn what_is_hostile_or_broken_leaves_an_empty_project_and_the_reason() {
    if deployed::leaves_out("the source is on this machine") {
        return;
    }
    let elsewhere = Elsewhere::start();
    let source = elsewhere.repository();
    let team = team(&elsewhere);
    // A tree that stock git serves and no client should check out.
    let blob = succeed(Command::new("sh").current_dir(&source).args(["-c", "echo x | git hash-object -w --stdin"]));
    let script = format!("printf '100644 blob {}\\t.GIT\\n' | git mktree", blob.trim());
    let tree = succeed(Command::new("sh").current_dir(&source).args(["-c", &script]));
    let commit = succeed(&mut git(&source, &["commit-tree", "-m", "bad", tree.trim()]));
    for (slug, door, reason) in [
        ("http", "trap/http", "imports may not come from"),
        ("metadata", "trap/metadata", "imports may not come from"),
        ("file", "trap/file", "imports may not come from"),
        ("login", "trap/elsewhere", "not a repository"),
        ("loop", "loop", "redirects more than"),
        ("page", "page", "not Git's"),
        ("absent", "open/nothing", "no repository"),
        ("counts", "cut", "objects, the limit is"),
    ] {
        let (project, job) = import(&team, slug, json!({"url": elsewhere.url(door)}));
        assert_eq!(job["state"], "failed", "{slug}: {job}");
        assert!(job["error"].as_str().unwrap().contains(reason), "{slug}: {job}");
        assert_eq!(project.client.get(&project.path("/branches")).expect(200).json()["items"], json!([]));
    }
    succeed(&mut git(&source, &["update-ref", "refs/heads/bad", commit.trim()]));
    let (project, job) = import(&team, "objects", json!({"url": elsewhere.url("open")}));
    let error = job["error"].as_str().unwrap();
    assert!(error.contains("hasDotgit") && error.contains(tree.trim()), "{job}");
    assert_eq!(project.client.get(&project.path("/branches")).expect(200).json()["items"], json!([]), "all or nothing");
    succeed(&mut git(&source, &["update-ref", "-d", "refs/heads/bad"]));
    let again = json!({"url": elsewhere.url("open")});
    let job = project.client.post(&project.path("/imports"), &again).expect(202).json();
    project.succeeded(project.wait(job["id"].as_str().unwrap()));
}

#[test]
fn an_import_is_cancelled_while_the_server_thinks() {
    if deployed::leaves_out("the source is on this machine") {
        return;
    }
    let elsewhere = Elsewhere::start();
    elsewhere.repository();
    let team = team(&elsewhere);
    let body = json!({"slug": "slow", "name": "slow", "import": {"url": elsewhere.url("slow")}});
    let made = team.person.post("/projects", &body).expect(201).json();
    let project = Project { slug: "slow".into(), client: team.person.clone() };
    let id = made["import_job"].as_str().unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while !elsewhere.asked().contains("POST /slow/shop.git/git-upload-pack") {
        assert!(Instant::now() < end, "the import does not ask");
        std::thread::sleep(Duration::from_millis(50));
    }
    project.client.post(&project.path("/imports"), &json!({"url": elsewhere.url("open")})).expect(409);
    project.client.post(&project.path(&format!("/jobs/{id}/cancellation")), &json!({})).expect(202);
    assert_eq!(project.wait(id)["state"], "cancelled");
    let job = project.client.post(&project.path("/imports"), &json!({"url": elsewhere.url("open")})).expect(202).json();
    project.succeeded(project.wait(job["id"].as_str().unwrap()));
}

#[test]
fn ssrf_no_import_reaches_what_only_this_machine_can() {
    if deployed::leaves_out("the source is on this machine") {
        return;
    }
    let elsewhere = Elsewhere::start();
    elsewhere.repository();
    let team = Team::start();
    let port = elsewhere.port;
    for url in [
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[fd00:ec2::254]/".into(),
        format!("http://127.0.0.1:{port}/"),
        "http://0/".into(),
        "http://0x7f000001/".into(),
        "http://127.1/".into(),
        "http://user@127.0.0.1/".into(),
        "file:///etc/passwd".into(),
        "ext::sh -c id".into(),
        "ssh://-oProxyCommand=id/x".into(),
        "gopher://127.0.0.1:6379/_x".into(),
        "https://example.com%0d%0aHost:%20x/".into(),
        "https:///evil.example/x".into(),
        format!("https://127.0.0.1:{port}/open/shop.git"),
        format!("https://[::1]:{port}/open/shop.git"),
        format!("https://[::ffff:127.0.0.1]:{port}/open/shop.git"),
    ] {
        let body = json!({"slug": "trap", "name": "trap", "import": {"url": url}});
        let refused = team.person.post("/projects", &body).expect(422).json();
        assert_eq!((&refused["code"], &refused["field"]), (&json!("url-not-allowed"), &json!("url")), "{url}");
    }
    let listed = team.person.get("/projects").expect(200).json();
    assert_eq!(listed["items"], json!([]), "nothing was made");
    // A name is looked up by the job, which then does not go there.
    let (_, job) = import(&team, "name", json!({"url": elsewhere.url("open")}));
    assert_eq!(job["state"], "failed");
    assert!(job["error"].as_str().unwrap().contains("may not reach"), "{job}");
    assert_eq!(elsewhere.asked(), "", "no connection was made");

    let project = team.project("own", "empty");
    for (bad, status) in [
        (json!({"url": 1}), 422),
        (json!({}), 422),
        (json!({"url": "https://example.com/x", "username": "a:b", "password": "x"}), 422),
        (json!({"url": "https://example.com/x", "username": "a"}), 422),
        (json!({"url": "https://example.com/x", "password": ""}), 422),
        (json!({"url": "https://example.com/x", "password": "a\nb"}), 422),
        (json!({"url": "https://example.com/x", "allow": "127.0.0.1"}), 422),
        (json!({"url": "https://example.com/x"}), 409),
    ] {
        assert_eq!(project.client.post(&project.path("/imports"), &bad).status, status, "{bad}");
    }
    let both = json!({"slug": "both", "name": "b", "starter": "empty", "import": {"url": "https://example.com/x"}});
    team.person.post("/projects", &both).expect(422);
}
