//! Flags of `slipway serve gateway`.

use clap::Parser;
use http::Uri;
use runtime::Lifecycle;
use runtime::process::{self, Process, ProcessArgs, StartError};

use crate::relay::Addresses;
use crate::{App, Config, Settings};

/// REST, webhooks and live events.
#[derive(Debug, Clone, Parser)]
pub struct Args {
    /// What every process has.
    #[command(flatten)]
    pub process: ProcessArgs,
    /// The URL that callers know it by, for links and webhook addresses; `http://` and the listening
    /// address when absent.
    #[arg(long, value_name = "URL")]
    pub public_url: Option<Uri>,
    /// Address of the process `registry`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4011")]
    pub registry_url: Uri,
    /// Address of the process `approval`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4012")]
    pub approval_url: Uri,
    /// Address of the process `rollout`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4013")]
    pub rollout_url: Uri,
    /// Address of the device link of the process `rollout`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4020")]
    pub link_url: Uri,
    /// Address of the process `access`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4014")]
    pub access_url: Uri,
    /// How many live event streams may be open.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub streams: usize,
    /// How many live event streams one caller may hold.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub streams_per_caller: usize,
}

impl Args {
    /// Starts the process; it runs until the lifecycle ends. With `--check` it is only looked
    /// whether it could. The other processes need not be there: it waits for none of them.
    ///
    /// # Errors
    ///
    /// When the settings are wrong or the port cannot be used.
    pub async fn start(&self) -> Result<Option<Lifecycle>, StartError> {
        let process = Process::from_args("gateway", &self.process)?;
        let public_url = self.public_url()?;
        if self.process.check {
            return Ok(None);
        }
        let listener = process::bind("--listen", self.process.listen.listen).await?;
        process.serve_metrics(self.process.listen.metrics_listen).await?;
        let lifecycle = process.lifecycle.clone();
        App::start(Config {
            process,
            listener,
            peers: Addresses {
                registry: self.registry_url.clone(),
                approval: self.approval_url.clone(),
                rollout: self.rollout_url.clone(),
                link: self.link_url.clone(),
                access: self.access_url.clone(),
            },
            public_url,
            settings: Settings {
                streams: self.streams,
                streams_per_caller: self.streams_per_caller,
                ..Settings::default()
            },
        });
        Ok(Some(lifecycle))
    }

    fn public_url(&self) -> Result<String, StartError> {
        let Some(url) = &self.public_url else {
            return Ok(format!("http://{}", self.process.listen.listen));
        };
        let whole = url.authority().is_some()
            && matches!(url.scheme_str(), Some("http" | "https"))
            && url.query().is_none();
        if !whole {
            return Err(StartError::Settings(format!(
                "--public-url `{url}` is no URL of a server; write for instance `https://slipway.example`"
            )));
        }
        Ok(url.to_string().trim_end_matches('/').to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(more: &[&str]) -> Args {
        let needed = ["gateway", "--listen", "127.0.0.1:4002"];
        let files = ["--service-token-file", "/dev/null", "--peers-file", "/dev/null"];
        Args::parse_from(needed.iter().chain(&files).chain(more))
    }

    #[test]
    fn the_public_url_is_the_listening_address_unless_it_is_given() {
        assert_eq!(args(&[]).public_url().unwrap(), "http://127.0.0.1:4002");
        let given = args(&["--public-url", "https://slipway.example/"]);
        assert_eq!(given.public_url().unwrap(), "https://slipway.example");
    }

    #[test]
    fn a_public_url_without_a_host_is_refused_with_an_example() {
        for odd in ["/api", "ftp://x", "https://x/?y=1"] {
            let error = args(&["--public-url", odd]).public_url().unwrap_err();
            assert_eq!(error.exit_code(), 64, "{odd}");
            assert!(error.to_string().contains("https://slipway.example"));
        }
    }
}
