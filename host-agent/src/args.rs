//! The command line of `weir-agent`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::config_file::ConfigFile;
use crate::settings::{FiltersSettings, LogSettings, PoliciesSettings, TlsSettings};
use crate::{Config, ConfigError, Settings};

/// Searches this node's container logs and streams them over gRPC.
#[derive(Debug, Parser)]
#[command(name = "weir-agent", version, about, max_term_width = 100)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `weir-agent` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serves until SIGTERM or SIGINT; a second signal ends at once.
    ///
    /// When it is ready it prints one line, `listening grpc=ADDRESS health=ADDRESS`, to standard output. Its log
    /// goes to standard error.
    Serve(ServeArgs),
    /// Checks the config as `serve` would, and says what is wrong.
    CheckConfig(ServeArgs),
    /// Compiles one filter from standard input to standard output: what `serve` runs as its child.
    #[command(hide = true)]
    Compile,
}

/// Flags of `serve`, each of which overrides the config file.
#[derive(Debug, Default, clap::Args)]
pub struct ServeArgs {
    /// YAML file with the config.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to serve gRPC: ADDRESS:PORT or unix:/PATH; without TLS only loopback or a Unix socket
    /// [default: 127.0.0.1:7411].
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Where to serve probes and metrics over plain HTTP [default: 127.0.0.1:7412].
    #[arg(long, value_name = "ADDRESS")]
    pub health_listen: Option<String>,
    /// Folder with the pods' logs [default: /var/log/pods].
    #[arg(long, value_name = "DIR")]
    pub logs_dir: Option<PathBuf>,
    /// Folder for compiled filters, which only the agent may enter [default: /var/cache/weir, or the user's
    /// cache folder].
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Lets queries bring filters of their own.
    #[arg(long)]
    pub allow_components: bool,
    /// Folder with filters that every query can name.
    #[arg(long, value_name = "DIR")]
    pub filters_folder: Option<PathBuf>,
    /// Folder with policies: filters that all queries of what they cover go through.
    #[arg(long, value_name = "DIR")]
    pub policies_folder: Option<PathBuf>,
    /// Name of this node, which filters are told.
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// Seconds that running queries have to end after a signal [default: 20].
    #[arg(long, value_name = "SECONDS")]
    pub drain_seconds: Option<u64>,
    /// PEM file with the agent's certificate.
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file with the certificate's key.
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// PEM file with roots that clients' certificates must come from.
    #[arg(long, value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
    /// Form of the agent's own log: text or json [default: text].
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Least level of the agent's own log: off, error, warn, info or debug [default: info].
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Prints the config that flags, file and defaults make together, as a config file, and does nothing else.
    #[arg(long)]
    pub print_config: bool,
}

impl ServeArgs {
    /// The config that flags and file make together.
    ///
    /// # Errors
    /// A file that can't be read, a value that can't be used.
    pub fn config(self) -> Result<Config, ConfigError> {
        let read = self.config.as_deref().map(ConfigFile::read).transpose()?;
        let flags = self.settings();
        let Some((file, settings)) = read else { return Config::new(flags) };
        Config::new(flags.clone().over(settings)).map_err(|error| match &error {
            // What a flag says isn't in the file.
            ConfigError::Value { field, .. } if flags.sets(field) => error,
            _ => file.placed(error),
        })
    }

    fn settings(self) -> Settings {
        Settings {
            listen: self.listen,
            health_listen: self.health_listen,
            logs_dir: self.logs_dir,
            logs_link_dirs: None,
            cache_dir: self.cache_dir,
            resume_key_file: None,
            allow_components: self.allow_components.then_some(true),
            node: self.node,
            drain_seconds: self.drain_seconds,
            filters: FiltersSettings { folder: self.filters_folder, ..FiltersSettings::default() },
            policies: PoliciesSettings { folder: self.policies_folder, reload_seconds: None },
            tls: TlsSettings {
                cert: self.tls_cert,
                key: self.tls_key,
                client_ca: self.tls_client_ca,
                client_certs: None,
                reload_seconds: None,
            },
            log: LogSettings { format: self.log_format, level: self.log_level },
            ..Settings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
