//! A Slurm of one node on this machine, on the loopback interface, for as long as the tests run.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The daemons that it consists of.
const DAEMONS: [&str; 3] = ["munged", "slurmctld", "slurmd"];

pub(crate) struct Cluster {
    folder: PathBuf,
    host: String,
}

/// The cluster, started with the first test. `None`, with a word about it, where Slurm is not installed; with `CI` set that is an
/// error.
pub(crate) fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    let missing = DAEMONS.into_iter().find(|daemon| which(daemon).is_none());
    if let Some(missing) = missing {
        assert!(std::env::var_os("CI").is_none(), "{missing} is not installed, but `.ci/run` installs it");
        eprintln!("skipped: {missing} is not installed (slurmctld, slurmd, slurm-client, munge)");
        return None;
    }
    CLUSTER.get_or_init(|| Some(Cluster::start("shared"))).as_ref()
}

fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').chain(["/usr/sbin"]).map(|folder| Path::new(folder).join(program)).find(|file| file.exists())
}

impl Cluster {
    /// A cluster called `name`.
    pub(crate) fn start(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("matssl-slurm-{name}-{}", std::process::id()));
        for inner in ["state", "spool", "log", "munge"] {
            fs::create_dir_all(folder.join(inner)).unwrap();
        }
        let host = String::from_utf8(Command::new("hostname").arg("-s").output().unwrap().stdout).unwrap();
        let host = host.trim().to_owned();
        let (controller, node) = (free_port(), free_port());
        let d = folder.display();
        let key = folder.join("munge/munge.key");
        let mut secret = [0; 1024];
        fs::File::open("/dev/urandom").unwrap().read_exact(&mut secret).unwrap();
        fs::write(&key, secret).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o400)).unwrap();
        // More processors than there are: most stages of these tests sleep. Two files stand for GPUs.
        for gpu in 0..2 {
            let file = folder.join(format!("gpu{gpu}"));
            assert!(Command::new("mknod").arg(&file).args(["c", "1", "3"]).status().unwrap().success());
        }
        fs::write(
            folder.join("gres.conf"),
            format!("NodeName={host} Name=gpu File={d}/gpu[0-1] Flags=nvidia_gpu_env\n"),
        )
        .unwrap();
        let config = format!(
            "ClusterName=test\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={controller}\nSlurmdPort={node}\n\
             CommunicationParameters=NoInAddrAny,NoCtldInAddrAny\nSlurmUser=root\nSlurmdUser=root\n\
             AuthType=auth/munge\nAuthInfo=socket={d}/munge/munge.sock,cred_expire=5\nCredType=cred/munge\n\
             StateSaveLocation={d}/state\nSlurmdSpoolDir={d}/spool\nSlurmctldPidFile={d}/slurmctld.pid\nSlurmdPidFile={d}/slurmd.pid\n\
             SlurmctldLogFile={d}/log/slurmctld.log\nSlurmdLogFile={d}/log/slurmd.log\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\n\
             JobAcctGatherType=jobacct_gather/linux\nJobAcctGatherFrequency=task=1\nJobAcctGatherParams=OverMemoryKill\n\
             AccountingStorageType=accounting_storage/none\nJobCompType=jobcomp/none\n\
             SelectType=select/cons_tres\nSelectTypeParameters=CR_Core_Memory\nSchedulerParameters=sched_interval=1,batch_sched_delay=0\n\
             MinJobAge=300\nReturnToService=2\nSwitchType=switch/none\nMpiDefault=none\nGresTypes=gpu\nDefMemPerCPU=64\n\
             KillWait=5\nSlurmdParameters=config_overrides\nPreemptType=preempt/partition_prio\nPreemptMode=REQUEUE\n\
             NodeName={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=4000 Gres=gpu:2 State=UNKNOWN\n\
             PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n\
             PartitionName=gpu Nodes=ALL MaxTime=INFINITE State=UP\n\
             PartitionName=cheap Nodes=ALL MaxTime=INFINITE State=UP PreemptMode=CANCEL\n\
             PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF\n"
        );
        fs::write(folder.join("slurm.conf"), config).unwrap();
        let munge = folder.join("munge");
        let of_munge = |name: &str| munge.join(name).to_string_lossy().into_owned();
        daemon(
            "munged",
            &[
                "--foreground",
                "--force",
                &format!("--key-file={}", key.display()),
                &format!("--socket={}", of_munge("munge.sock")),
                &format!("--pid-file={}", of_munge("munged.pid")),
                &format!("--log-file={}", folder.join("log/munged.log").display()),
                &format!("--seed-file={}", of_munge("munged.seed")),
            ],
        );
        wait(&folder, "munged's socket", || munge.join("munge.sock").exists());
        let conf = folder.join("slurm.conf").to_string_lossy().into_owned();
        daemon("slurmctld", &["-D", "-f", &conf]);
        daemon("slurmd", &["-D", "-f", &conf]);
        let cluster = Cluster { folder, host };
        wait(&cluster.folder, "an idle node", || {
            cluster.call("sinfo", &["-h", "-o", "%T"]).is_ok_and(|text| text.contains("idle"))
        });
        cluster
    }

    /// The environment variable that leads Slurm's commands here.
    pub(crate) fn variable(&self) -> (&'static str, String) {
        ("SLURM_CONF", self.folder.join("slurm.conf").to_string_lossy().into_owned())
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Ends the controller, which saves its state, and starts it again after `pause`.
    pub(crate) fn restart_controller(&self, pause: Duration) {
        let process = fs::read_to_string(self.folder.join("slurmctld.pid")).unwrap();
        // SAFETY: plain system call.
        unsafe { libc::kill(process.trim().parse().unwrap(), libc::SIGTERM) };
        std::thread::sleep(pause);
        daemon("slurmctld", &["-D", "-f", &self.folder.join("slurm.conf").to_string_lossy()]);
        wait(&self.folder, "an answer", || self.call("sinfo", &["-h"]).is_ok());
    }

    /// Tells the controller that the node has failed, and then that it is back: no daemon is killed.
    pub(crate) fn restart_node(&self) {
        let node = format!("nodename={}", self.host);
        let update = |state: &str| self.call("scontrol", &["update", &node, state, "reason=test"]).unwrap();
        update("state=down");
        update("state=resume");
    }

    /// Calls one of Slurm's commands.
    ///
    /// # Errors
    /// What it says when it fails.
    pub(crate) fn call(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        let (name, value) = self.variable();
        let output = Command::new(program).args(arguments).env(name, value).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// The array jobs of an experiment that the controller knows, ended ones too: number, task, state.
    pub(crate) fn jobs(&self, experiment: &str) -> Vec<(String, String, String)> {
        let text = self.call("squeue", &["-h", "--array", "--states=all", "-o", "%F %K %T %j"]).unwrap();
        let prefix = format!("matssl-{experiment}-");
        text.lines()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .filter(|words| words[3].starts_with(&prefix))
            .map(|words| (words[0].to_owned(), words[1].to_owned(), words[2].to_owned()))
            .collect()
    }
}

/// Starts a program that ends with this process.
fn daemon(program: &str, arguments: &[&str]) {
    let mut command = Command::new(which(program).unwrap());
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let arm = || {
        // SAFETY: plain system call.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        Ok(())
    };
    // SAFETY: between fork and exec, `arm` makes one async-signal-safe call and touches no memory of others.
    unsafe { command.pre_exec(arm) };
    // The signal comes when the thread ends that started the program: this one lives as long as the process.
    let (started, is_started) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let child = command.spawn();
        started.send(child.is_ok()).unwrap();
        let _child = child;
        loop {
            std::thread::park();
        }
    });
    assert!(is_started.recv().unwrap(), "{program} does not start");
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait(folder: &Path, what: &str, mut is: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is() {
        let log = |name: &str| fs::read_to_string(folder.join("log").join(name)).unwrap_or_default();
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "no {what} within 60 s: {}{}",
            log("slurmctld.log"),
            log("slurmd.log")
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}
