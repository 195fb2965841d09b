//! The command line: what can be said to `queuelink`, and what it says back.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::io::{self, BufRead, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use bootstrap::{Environment, init_tracing};
use clap::{Parser, Subcommand};
use domain::{Clock, Scope, Scopes, Secret};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::engines::dynamodb::Durability;
use crate::house::{BrokerOptions, House, Options};
use crate::lua_tests;
use crate::package::{self, Door};
use crate::stack::{self, Leaving, Stack};

/// A label of a key has at most this many characters, as in the API.
const MAX_LABEL: usize = 200;

/// How often the outbox is swept, as in the template.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Tables, queues and Lua workers on this machine.
///
/// One process: the HTTP API, DynamoDB and SQS engines that the real AWS SDKs talk to, a Kafka in memory, the workers that
/// run the Lua handlers, and a mailbox that catches every mail they send. All of it listens on this machine only and keeps its
/// data in one folder, so deleting that folder starts anew.
///
/// The first start makes an admin API key and two sample queues, and prints three commands to try.
///
/// The commands are for a stack on AWS; without one, the house on this machine starts.
#[derive(Debug, Parser)]
#[command(
    name = "queuelink",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Press Ctrl-C to stop; messages in work are finished first.\n\
    The environment variable LOG_LEVEL (error, warn, info, debug) says how much is told on standard error."
)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    house: HouseArgs,
}

#[derive(Debug, clap::Args)]
struct HouseArgs {
    /// The address of the HTTP API; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8787")]
    listen: SocketAddr,

    /// The folder that keeps everything: databases, keys, mails; made if it is absent
    #[arg(long, value_name = "FOLDER", default_value = ".queuelink")]
    data_dir: PathBuf,

    /// The folder of the Lua handlers: a sub-folder is a package, a file in it a handler
    #[arg(long, value_name = "FOLDER", default_value = "infra/handlers")]
    handlers_dir: PathBuf,

    /// Make no sample queues at the first start
    #[arg(long)]
    no_samples: bool,

    /// Do not wait for the disk at each write to a table: some forty times faster, still safe against a killed process,
    /// but not against a loss of power
    #[arg(long)]
    fast: bool,

    /// A Kafka cluster for the queues of type kafka that have no url of their own, in place of the embedded one; without
    /// TLS and without a user. Topics are not made there
    #[arg(long, value_name = "HOST:PORT,...")]
    kafka: Option<String>,

    /// A RabbitMQ for the queues of type rabbitmq that have no url of their own: amqp[s]://USER:PASSWORD@HOST[:PORT][/VHOST].
    /// Without it there is none. Queues are not made there
    #[arg(long, value_name = "URL")]
    amqp: Option<Hidden>,
}

/// A text in which a password stands: it is shown nowhere.
#[derive(Clone)]
struct Hidden(Secret);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(..)")
    }
}

impl FromStr for Hidden {
    type Err = Infallible;

    /// Anything will do: what is wrong with it is said without quoting it.
    fn from_str(text: &str) -> Result<Hidden, Infallible> {
        Ok(Hidden(Secret::new(text)))
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the tests of the Lua handlers: the files in the folders 'tests' of the packages
    ///
    /// Nothing is sent: what a handler asks of the world is recorded, and answered by its test.
    Test {
        /// The package to test; all of them if none is named
        package: Option<String>,

        /// The folder of the Lua handlers
        #[arg(long, value_name = "FOLDER", default_value = "infra/handlers")]
        handlers_dir: PathBuf,
    },
    /// Packages of Lua handlers
    #[command(subcommand)]
    Package(PackageCommand),
    /// API keys of a stack on AWS
    #[command(subcommand)]
    Key(KeyCommand),
    /// Remove from AWS what the API of a stack made at run time; before `sam delete`
    ///
    /// SQS queues that the API made are no part of the CloudFormation stack, nor are the mappings that feed the worker
    /// from them. This lists them, asks, and removes each with its messages, its dead-letter queue, its mapping and its
    /// registration. Queues that were registered by their URL stay.
    #[command(after_help = RIGHTS)]
    Destroy {
        #[command(flatten)]
        stack: StackArgs,

        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
enum PackageCommand {
    /// Release a folder as a package: at work within 10 s, without a redeploy
    ///
    /// The folder has handlers at its top, modules in 'lib', tests in 'tests', and a 'package.json' if it needs secrets. It goes
    /// to the house that runs on this machine, or to the API that is named.
    Push {
        /// The package's folder
        folder: PathBuf,

        /// The package's name [default: that of the folder]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,

        /// Why this release is made, for people
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,

        /// Keep the release, but let the active one go on
        #[arg(long)]
        inactive: bool,

        /// The API to release to, such as https://ID.execute-api.REGION.amazonaws.com
        #[arg(long, value_name = "URL", requires = "key_file")]
        api: Option<String>,

        /// A file whose text is an API key with the scope package:write:NAME
        #[arg(long, value_name = "FILE", requires = "api")]
        key_file: Option<PathBuf>,

        /// The data folder of the house on this machine
        #[arg(long, value_name = "FOLDER", default_value = ".queuelink", conflicts_with = "api")]
        data_dir: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make an API key in a stack on AWS and print it, this once
    ///
    /// The key is the one line on standard output; only its hash goes to AWS. A new stack has no key, and its API makes
    /// none without one: this makes the first.
    #[command(after_help = RIGHTS)]
    Create {
        #[command(flatten)]
        stack: StackArgs,

        /// For people: whose it is, what it is for
        #[arg(long, value_name = "LABEL", default_value = "first key", value_parser = label)]
        label: String,

        /// What it may do, repeatable: *, queue:publish:NAME, queue:read:NAME, queue:write:NAME (NAME or *),
        /// dead-letter:read, dead-letter:write, package:read:NAME, package:write:NAME, key:read, key:write
        #[arg(long = "scope", value_name = "SCOPE", default_value = "*")]
        scopes: Vec<Scope>,
    },
}

#[derive(Debug, clap::Args)]
struct StackArgs {
    /// The name of the stack, as given to `sam deploy`
    #[arg(long, value_name = "NAME")]
    stack: String,

    /// The region of the stack [default: AWS_REGION, then AWS_DEFAULT_REGION]
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
}

const RIGHTS: &str = "It acts by your own AWS rights. Credentials are read from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and \
    AWS_SESSION_TOKEN; version 2 of the AWS CLI gives those of any profile or sign-in:\n  \
    eval \"$(aws configure export-credentials --format env)\"";

/// The whole program after the sandbox entry: reads the command line and does what it says.
pub fn run() -> ExitCode {
    let args = Args::parse();
    let environment = Environment::from_process();
    let done = init_tracing(&environment).map_err(Box::from).and_then(|()| match args.command {
        None => serve(args.house),
        Some(Command::Test { package, handlers_dir }) => test(&handlers_dir, package.as_deref()),
        Some(Command::Package(PackageCommand::Push {
            folder,
            name,
            note,
            inactive,
            api,
            key_file,
            data_dir,
        })) => {
            let door = match (&api, &key_file) {
                (Some(api), Some(key_file)) => Door::at(api, key_file),
                _ => Door::of_house(&data_dir),
            };
            door.map_err(Box::from)
                .and_then(|door| push(&door, &folder, name.as_deref(), note.as_deref(), !inactive))
        }
        Some(Command::Key(KeyCommand::Create { stack, label, scopes })) => {
            create_key(&environment, &stack, &label, scopes)
        }
        Some(Command::Destroy { stack, yes }) => destroy(&environment, &stack, yes),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "queuelink: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the house until Ctrl-C or SIGTERM.
fn serve(args: HouseArgs) -> Result<(), Box<dyn Error>> {
    let options = Options {
        listen: args.listen,
        data_dir: args.data_dir,
        handlers_dir: args.handlers_dir,
        sandbox_program: std::env::current_exe()?,
        samples: !args.no_samples,
        durability: if args.fast { Durability::Fast } else { Durability::Safe },
        clock: Clock::system(),
        sweep_every: SWEEP_EVERY,
        brokers: BrokerOptions { kafka: args.kafka, amqp: args.amqp.map(|Hidden(url)| url) },
    };
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut told = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        let house = tokio::select! {
            house = House::start(options) => house?,
            // A start may be broken off anywhere: the next one goes on from there.
            () = told() => return Err("stopped before it was ready; nothing is lost, start it again".into()),
        };
        say(&house.greeting())?;
        told().await;
        say("\nStopping: messages in work are finished first. Ctrl-C again stops at once.\n")?;
        tokio::select! {
            () = house.stop() => Ok(()),
            () = told() => Ok(()),
        }
    });
    // Not to wait for what blocks: whoever says "at once" means it.
    runtime.shutdown_background();
    served
}

fn test(handlers: &Path, package: Option<&str>) -> Result<(), Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let passed = runtime.block_on(lua_tests::run(handlers, package, program, &mut io::stdout().lock()))?;
    if passed { Ok(()) } else { Err("not all tests of the handlers passed".into()) }
}

fn push(
    door: &Door,
    folder: &Path,
    name: Option<&str>,
    note: Option<&str>,
    activate: bool,
) -> Result<(), Box<dyn Error>> {
    let (name, files) = (package::name_of(folder, name)?, package::read(folder)?);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let release = runtime.block_on(door.release(&name, &files, note, activate))?;
    let text = |key: &str| release[key].as_str().unwrap_or_default();
    let handlers = release["handlers"].as_array().into_iter().flatten().filter_map(|name| name.as_str());
    say(&format!("{name}@{}\n", release["release"]))?;
    for handler in handlers {
        say(&format!("  {handler}\n"))?;
    }
    match release["active"].as_bool() {
        Some(true) => say(&format!("at work everywhere from {}\n", text("active-from")))?,
        _ => say("not active; make it so with PUT package/NAME/active\n")?,
    }
    Ok(())
}

fn create_key(
    environment: &Environment,
    args: &StackArgs,
    label: &str,
    scopes: Vec<Scope>,
) -> Result<(), Box<dyn Error>> {
    let scopes = Scopes::from_iter(scopes);
    let may: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let stack = Stack::find(environment, &args.stack, args.region.as_deref()).await?;
        let key = stack.create_key(label, scopes).await?;
        say(&format!("{}\n", key.expose()))?;
        let Stack { name, region, .. } = &stack;
        let may = may.join(", ");
        writeln!(
            io::stderr(),
            "'{label}' of the stack {name} in {region}, may: {may}. It is shown this once."
        )?;
        Ok(())
    })
}

fn destroy(environment: &Environment, args: &StackArgs, yes: bool) -> Result<(), Box<dyn Error>> {
    Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let stack = Stack::find(environment, &args.stack, args.region.as_deref()).await?;
        let leaving = Leaving::read(&stack).await?;
        say(&leaving.describe(&stack))?;
        if leaving.made.is_empty() {
            return Ok(());
        }
        if !yes && !io::stdin().is_terminal() {
            return Err("nothing was removed; say --yes to go on without being asked".into());
        }
        if !yes && !confirmed(&stack.name, &mut io::stdin().lock())? {
            return Err("nothing was removed".into());
        }
        let mut broken = Ok(());
        let done = stack::destroy(&stack, &leaving, |line| {
            if broken.is_ok() {
                broken = say(&format!("{line}\n"));
            }
        });
        done.await?;
        Ok(broken?)
    })
}

/// Whether the person types the stack's name.
fn confirmed(stack: &str, answer: &mut impl BufRead) -> io::Result<bool> {
    say("Type the name of the stack to remove them: ")?;
    let mut typed = String::new();
    answer.read_line(&mut typed)?;
    Ok(typed.trim() == stack)
}

fn label(text: &str) -> Result<String, String> {
    let fits = !text.trim().is_empty() && text.chars().count() <= MAX_LABEL;
    if fits && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(format!("a label has 1 to {MAX_LABEL} characters, none of them a control character"))
    }
}

/// Writes to standard output; one that is closed (`queuelink | head`) is no reason to stop.
fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
