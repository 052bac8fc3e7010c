//! The agent's own log: to standard error, as text or JSON.

use std::io;

use tracing::level_filters::LevelFilter;

use crate::ConfigError;
use crate::settings::LogSettings;

/// How the agent logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The form of a line.
    pub format: LogFormat,
    /// The least level that is written.
    pub level: LevelFilter,
}

/// The form of a line of the agent's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object each line.
    Json,
}

impl LogConfig {
    /// Checks settings; unset, text at level `info`.
    ///
    /// # Errors
    /// A format or a level that doesn't exist.
    pub fn new(settings: &LogSettings) -> Result<LogConfig, ConfigError> {
        let format = match settings.format.as_deref() {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => {
                return Err(ConfigError::value("log.format", format!("'{other}' is not text or json")));
            }
        };
        let level = match settings.level.as_deref() {
            None => LevelFilter::INFO,
            Some(text @ ("off" | "error" | "warn" | "info" | "debug")) => {
                text.parse().map_err(|error| ConfigError::value("log.level", error))?
            }
            Some(other) => {
                let reason = format!("'{other}' is not off, error, warn, info or debug");
                return Err(ConfigError::value("log.level", reason));
            }
        };
        Ok(LogConfig { format, level })
    }

    /// The settings that make this.
    pub(crate) fn settings(self) -> LogSettings {
        let format = match self.format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        LogSettings { format: Some(format.to_owned()), level: Some(self.level.to_string()) }
    }
}

/// Starts to log. To be called once in a process.
///
/// # Errors
/// The process logs already.
pub fn start(config: LogConfig) -> io::Result<()> {
    let builder =
        tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(config.level).with_ansi(false);
    match config.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    }
    .map_err(io::Error::other)
}
