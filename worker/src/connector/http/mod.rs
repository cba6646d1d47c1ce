//! `http`: rows as POST requests, for webhooks, falcosidekick and SIEMs.
//!
//! Rows are sent before the commit that covers them, so each arrives at least once: after a crash, some come again. A request carries a
//! hash of its content as `Idempotency-Key`, by which a receiver drops a repeated one.

mod options;
mod sink;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use davy_engine::connector::{Share, Table, TableRequest};
use davy_engine::format::Format;
use davy_engine::format::json::JsonOptions;
use davy_engine::log::{Sink, Source};
use davy_engine::options::Options;
use davy_engine::{Error, Result};

use self::options::HttpOptions;
use self::sink::HttpSink;
use super::Role;
use super::file::check_types;
use crate::http_client::HttpClient;

pub(super) fn table(request: &TableRequest<'_>, options: &mut Options) -> Result<Arc<dyn Table>> {
    Role::Sink.take_only(request, options)?;
    let format = match request.format {
        None => Format::Json(JsonOptions::default()),
        Some(format @ (Format::Json(_) | Format::RawString(_))) => format.clone(),
        Some(_) => {
            return Err(Error::invalid(format!("table `{}`: a request carries JSON or raw lines", request.name))
                .hint("use `format = 'json'` or 'raw_string'"));
        }
    };
    let options = HttpOptions::take(request, &format, options)?;
    let client =
        HttpClient::new(&options.client).map_err(|error| error.context(&format!("table `{}`", request.name)))?;
    Ok(Arc::new(Http { format, client, options: Arc::new(options) }))
}

#[derive(Debug)]
struct Http {
    format: Format,
    client: HttpClient,
    options: Arc<HttpOptions>,
}

impl Table for Http {
    fn is_source(&self) -> bool {
        false
    }

    fn is_sink(&self) -> bool {
        true
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn reads_bytes(&self) -> bool {
        true
    }

    fn source(&self, _schema: &SchemaRef, _share: Share) -> Result<Box<dyn Source>> {
        Err(Error::internal("connector `http` cannot be read"))
    }

    fn check_sink(&self, schema: &SchemaRef) -> Result<()> {
        check_types(&self.format, schema)
    }

    fn sink(&self, schema: &SchemaRef) -> Result<Box<dyn Sink>> {
        let encoder = self.format.encoder(schema)?;
        Ok(Box::new(HttpSink::new(self.client.clone(), Arc::clone(&self.options), encoder)))
    }
}
