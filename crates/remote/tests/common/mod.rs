//! An S3 server, a web server, a proxy that damages connections, and the machines of a group.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part")]

pub mod s3_server;
pub mod web_server;

use s3_server::{ACCESS_KEY, SECRET_KEY};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

pub const BUCKET: &str = "group";

/// An S3 server with its files in a folder. It ends with the process.
pub struct S3Server {
    pub folder: tempfile::TempDir,
    pub port: u16,
}

impl S3Server {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let port = s3_server::start(folder.path());
        S3Server { folder, port }
    }

    /// The folder of the shared cache on the server's disk.
    pub fn files(&self) -> PathBuf {
        self.folder.path().join(BUCKET).join("cache")
    }

    /// All files below a folder of the shared cache that are not the server's own notes.
    pub fn files_below(&self, folder: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.files().join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => found.push(path),
                }
            }
        }
        found.sort();
        found
    }
}

/// How the proxy treats what it passes on. All may change while it runs.
#[derive(Debug, Default)]
pub struct Faults {
    /// Every n-th connection is closed at once; 0: none.
    pub refuses_each: AtomicUsize,
    /// Connections break after so many bytes of answers; 0: never.
    pub breaks_after: AtomicU64,
    /// While this is not 0, no more than so many bytes are passed on by each connection; the rest waits.
    pub holds_after: AtomicU64,
    /// Connections that were held so far.
    pub held: AtomicUsize,
    /// Milliseconds before each piece of an answer.
    pub delay: AtomicU64,
    /// Nothing is answered any more.
    pub is_dead: AtomicBool,
    /// Connections so far.
    pub connections: AtomicUsize,
}

/// A proxy before the server at `port`. Returns its port.
pub fn proxy(port: u16, faults: &Arc<Faults>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    let faults = Arc::clone(faults);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let number = faults.connections.fetch_add(1, Ordering::Relaxed) + 1;
            let each = faults.refuses_each.load(Ordering::Relaxed);
            if faults.is_dead.load(Ordering::Relaxed) || (each > 0 && number.is_multiple_of(each)) {
                continue;
            }
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from_client, &mut to_server);
                let _ = to_server.shutdown(Shutdown::Write);
            });
            let faults = Arc::clone(&faults);
            std::thread::spawn(move || answer(server, client, &faults));
        }
    });
    own
}

fn answer(mut server: TcpStream, mut client: TcpStream, faults: &Faults) {
    let mut buffer = [0; 16 << 10];
    let mut passed = 0;
    while let Ok(count @ 1..) = server.read(&mut buffer) {
        std::thread::sleep(Duration::from_millis(faults.delay.load(Ordering::Relaxed)));
        passed += count as u64;
        let is_held = || {
            let most = faults.holds_after.load(Ordering::Relaxed);
            most > 0 && passed > most
        };
        faults.held.fetch_add(usize::from(is_held()), Ordering::Relaxed);
        while is_held() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let most = faults.breaks_after.load(Ordering::Relaxed);
        let is_broken = faults.is_dead.load(Ordering::Relaxed) || (most > 0 && passed > most);
        if is_broken || client.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

/// A machine of the group: a cache of its own and the way to the server.
pub struct Machine {
    pub folder: tempfile::TempDir,
    pub remote: String,
    pub port: u16,
    pub secret: String,
    pub variables: Vec<(&'static str, String)>,
}

impl Machine {
    pub fn new(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let remote = format!("s3://{BUCKET}/cache");
        Machine { folder, remote, port, secret: SECRET_KEY.into(), variables: Vec::new() }
    }

    pub fn readonly(port: u16) -> Self {
        let machine = Machine::new(port);
        Machine { remote: format!("{}+readonly", machine.remote), ..machine }
    }

    pub fn with(mut self, variable: &'static str, value: &str) -> Self {
        self.variables.push((variable, value.to_owned()));
        self
    }

    pub fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn command(&self, verb: &str, experiment: &str) -> Command {
        let file = self.folder.path().join("e.toml");
        std::fs::write(&file, experiment).unwrap();
        let mut command = Command::new(program());
        command.args([verb, file.to_str().unwrap(), self.cache().to_str().unwrap(), &self.remote]);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_") || name.starts_with("MATSSL_")) {
            command.env_remove(name);
        }
        command
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", &self.secret)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port))
            .env("NO_PROXY", "*")
            .envs(self.variables.iter().map(|(name, value)| (*name, value.as_str())))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn start(&self, verb: &str, experiment: &str) -> Child {
        self.command(verb, experiment).spawn().unwrap()
    }

    pub fn call(&self, verb: &str, experiment: &str) -> Answer {
        let answer = Answer::of(&self.command(verb, experiment).output().unwrap());
        let all = format!("{}{}", answer.out, answer.err);
        assert!(!all.contains(SECRET_KEY) && !all.contains(&self.secret), "credentials are shown: {all}");
        answer
    }

    /// Runs the experiment, which must succeed.
    pub fn run(&self, experiment: &str) -> Answer {
        let answer = self.call("run", experiment);
        assert!(answer.is_success, "{answer:?}");
        answer
    }

    /// The contents of the records that are on this disk.
    pub fn records(&self) -> usize {
        std::fs::read_dir(self.cache().join("records")).map_or(0, Iterator::count)
    }

    /// Every object on this disk has the content of its name, and every record is whole.
    pub fn assert_intact(&self) {
        let store = matssl_pipeline::cache::Store::open(&self.cache()).unwrap();
        let verified = matssl_pipeline::cache::verify(&store, &|_, _| ()).unwrap();
        assert!(verified.damaged.is_empty(), "{:?}", verified.damaged);
    }
}

/// What a program said.
#[derive(Debug)]
pub struct Answer {
    pub is_success: bool,
    pub out: String,
    pub err: String,
}

impl Answer {
    pub fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Answer { is_success: output.status.success(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The number of stages that ran.
    pub fn ran(&self) -> usize {
        let line = self.out.lines().find(|line| line.ends_with(" ran")).unwrap_or_else(|| panic!("{self:?}"));
        line.split(' ').next().unwrap().parse().unwrap()
    }
}

/// `examples/group.rs`. `cargo test` builds it, but not where it is given the name of a test: then it may be an old one.
fn program() -> PathBuf {
    const CURE: &str = "run `cargo build -p matssl-remote --example group`";
    let test = std::env::current_exe().unwrap();
    let folder: &Path = test.parent().and_then(Path::parent).unwrap();
    let program = folder.join("examples/group");
    let built = std::fs::metadata(&program).and_then(|file| file.modified());
    let built = built.unwrap_or_else(|_| panic!("{} is missing: {CURE}", program.display()));
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let newest = ["src", "examples", "../pipeline/src"].map(|folder| newest_below(&sources.join(folder)));
    assert!(newest.into_iter().flatten().all(|newest| newest <= built), "{} is old: {CURE}", program.display());
    program
}

/// When the newest file below `folder` was written.
fn newest_below(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let times = entries.filter_map(|path| match path.is_dir() {
        true => newest_below(&path),
        false => std::fs::metadata(path).and_then(|file| file.modified()).ok(),
    });
    times.max()
}

/// An experiment of texts, counts and doubles, each of `times` lines.
pub fn experiment(texts: &[&str], times: u32) -> String {
    let mut all = "name = \"e\"\n".to_owned();
    for (number, text) in texts.iter().enumerate() {
        all += &format!("[stages.t{number}]\nkind = \"text\"\ntext = \"{text}\"\ntimes = {times}\n");
        all += &format!("[stages.c{number}]\nkind = \"count\"\nof = \"t{number}\"\n");
        all += &format!("[stages.d{number}]\nkind = \"double\"\nof = \"c{number}\"\n");
    }
    all
}
