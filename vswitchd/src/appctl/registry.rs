//! Commands by name.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What a command answers: text, or the text of an error.
pub type Answer = Result<String, String>;

/// A question that is asked again until there is an answer.
pub type Pending<C> = Box<dyn FnMut(&mut C) -> Option<Answer>>;

/// How far a text came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// That is all.
    Done,
    /// There is more to do at once.
    More,
    /// There may be more, once something has happened.
    Waiting,
}

/// What writes a text piece by piece: each call appends what a slice of work gives.
pub type Pieces<C> = Box<dyn FnMut(&mut C, &mut String) -> Progress>;

/// What became of a command.
pub enum Outcome<C> {
    /// It is done.
    Done(Answer),
    /// Ask this again after each turn of the control loop, until it answers.
    Later(Pending<C>),
    /// The answer is a text that takes a while: it goes out as it is written, and is never in memory as a whole. Call this once in each turn
    /// of the control loop in which the client keeps up.
    Pieces(Pieces<C>),
}

impl<C> From<Answer> for Outcome<C> {
    fn from(answer: Answer) -> Self {
        Self::Done(answer)
    }
}

/// A command of `ovs-appctl`, run on a context `C`.
pub struct Command<C> {
    /// Its name.
    pub name: &'static str,
    /// How its arguments are shown by `list-commands`.
    pub usage: &'static str,
    /// The fewest arguments.
    pub min: usize,
    /// The most arguments.
    pub max: usize,
    /// What it does.
    pub run: fn(&mut C, &[String]) -> Outcome<C>,
}

/// All commands.
pub struct Registry<C>(BTreeMap<&'static str, Command<C>>);

impl<C> Default for Registry<C> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<C> Registry<C> {
    /// Adds commands; one of the same name is replaced.
    pub fn extend(&mut self, commands: impl IntoIterator<Item = Command<C>>) {
        self.0.extend(commands.into_iter().map(|command| (command.name, command)));
    }

    /// Runs the command `name`, or says why not.
    pub fn run(&self, context: &mut C, name: &str, args: &[String]) -> Outcome<C> {
        if name == "list-commands" && args.is_empty() {
            return Ok(self.list()).into();
        }
        let Some(command) = self.0.get(name) else {
            return Err(format!(
                "\"{name}\" is not a valid command (use \"list-commands\" to see a list of valid commands)"
            ))
            .into();
        };
        if args.len() < command.min {
            return Err(format!("\"{name}\" command requires at least {} arguments", command.min)).into();
        }
        if args.len() > command.max {
            return Err(format!("\"{name}\" command takes at most {} arguments", command.max)).into();
        }
        (command.run)(context, args)
    }

    fn list(&self) -> String {
        let mut lines: Vec<_> = self.0.values().map(|command| (command.name, command.usage)).collect();
        lines.push(("list-commands", ""));
        lines.sort_unstable();
        lines.iter().fold(String::from("The available commands are:\n"), |mut text, (name, usage)| {
            let _ = writeln!(text, "  {name:<23} {usage}");
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> Registry<u32> {
        let mut registry = Registry::default();
        registry.extend([Command {
            name: "add",
            usage: "a [b]",
            min: 1,
            max: 2,
            run: |sum: &mut u32, args| {
                *sum += args.len() as u32;
                Ok(sum.to_string()).into()
            },
        }]);
        registry
    }

    fn answer(name: &str, args: &[&str]) -> Answer {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        match registry().run(&mut 40, name, &args) {
            Outcome::Done(answer) => answer,
            Outcome::Later(_) | Outcome::Pieces(_) => panic!("not done"),
        }
    }

    #[test]
    fn arguments_are_counted() {
        assert_eq!(answer("add", &["1", "2"]), Ok("42".into()));
        assert_eq!(answer("add", &[]), Err("\"add\" command requires at least 1 arguments".into()));
        assert_eq!(answer("add", &["1", "2", "3"]), Err("\"add\" command takes at most 2 arguments".into()));
        assert!(answer("sub", &[]).unwrap_err().starts_with("\"sub\" is not a valid command"));
    }

    #[test]
    fn commands_are_listed_in_order() {
        let list = answer("list-commands", &[]).unwrap();
        assert_eq!(
            list,
            "The available commands are:\n  add                     a [b]\n  list-commands           \n"
        );
    }
}
