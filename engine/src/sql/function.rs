//! CREATE FUNCTION: a model by its card, or a plug-in by its library.
//!
//! ```sql
//! CREATE FUNCTION mining_score USING MODEL 'models/miner_series/card.toml';
//! CREATE FUNCTION mining_score USING MODEL 'models/miner_series/card.toml' NAMED WITH (backend = 'onnxruntime');
//! ```
//! `NAMED` makes every call prove that it gives the model's features: by columns of their names in their order, or by
//! `feature => expression`. It is checked in the script's text, where names have not been optimised away.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::execution::FunctionRegistry;
use datafusion::sql::sqlparser::ast::{
    Expr as AstExpr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Visit,
    visit_expressions,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use davy_forest::scorer::Backend;

use super::PlanRequest;
use super::catalog::{Catalog, list};
use super::script::{Parsed, location, normalize, parse_name, parse_options, refuse};
use crate::error::{Error, Location, Result};
use crate::metrics::FunctionMetrics;
use crate::options::Options;
use crate::udf::model::Model;

/// A CREATE FUNCTION.
#[derive(Clone, Debug)]
pub struct CreateFunction {
    /// Name, normalised.
    pub name: String,
    /// What it calls.
    pub body: FunctionBody,
    /// Options in order.
    pub options: Vec<(String, String, Location)>,
}

/// What a function calls.
#[derive(Clone, Debug)]
pub enum FunctionBody {
    /// `USING MODEL 'card' [NAMED]`.
    Model {
        /// Where the card is.
        card: String,
        /// Whether calls must name the features.
        is_named: bool,
    },
}

/// The features of functions that were created NAMED, by the names they are called by.
pub type NamedFunctions = BTreeMap<String, Arc<[String]>>;

/// Parses what follows `CREATE FUNCTION`.
pub(super) fn parse(parser: &mut Parser<'_>) -> Parsed<CreateFunction> {
    let name = parse_name(parser)?;
    let next = parser.peek_token();
    if next.token == Token::LParen {
        return refuse(&next, "a model's arguments stand in its card; write CREATE FUNCTION name USING MODEL 'card.toml'");
    }
    parser.expect_keyword(Keyword::USING)?;
    let what = parser.next_token();
    if !is_word(&what, "model") {
        return refuse(&what, &format!("expected MODEL 'card.toml' after USING, found `{what}`"));
    }
    let card = parser.parse_literal_string()?;
    let is_named = is_word(&parser.peek_token(), "named");
    if is_named {
        parser.next_token();
    }
    let options = if parser.parse_keyword(Keyword::WITH) { parse_options(parser)? } else { Vec::new() };
    Ok(CreateFunction { name, body: FunctionBody::Model { card, is_named }, options })
}

fn is_word(token: &TokenWithSpan, wanted: &str) -> bool {
    matches!(&token.token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
}

/// Loads what a CREATE FUNCTION names and adds its functions to the catalog.
pub(super) fn define(catalog: &mut Catalog, request: &PlanRequest<'_>, ddl: &CreateFunction) -> Result<()> {
    let mut options = request.options(Options::of_function(&ddl.name), &ddl.name, &ddl.options)?;
    match &ddl.body {
        FunctionBody::Model { card, is_named } => {
            let card = options.take("model").map_or_else(|| request.resolve(card), Ok)?;
            let backends =
                [("auto", Backend::Auto), ("native", Backend::Native), ("onnxruntime", Backend::OnnxRuntime)];
            let backend = options.parse_choice("backend", &backends)?.unwrap_or_default();
            options.finish()?;
            for name in Model::function_names(&ddl.name) {
                check_new(catalog, &name)?;
            }
            let about = format!("function `{}`", ddl.name);
            let scorer = request.connectors.model(&card, backend).map_err(|error| error.context(&about))?;
            let metrics = Arc::new(FunctionMetrics::new(&*ddl.name));
            let stopwatch = request.connectors.stopwatch();
            let model = Model { name: ddl.name.as_str().into(), scorer, metrics, stopwatch };
            define_model(catalog, model, *is_named)
        }
    }
}

fn define_model(catalog: &mut Catalog, model: Model, is_named: bool) -> Result<()> {
    if is_named {
        let features: Arc<[String]> = model.scorer.card().features.iter().map(|feature| feature.name.clone()).collect();
        let names = Model::function_names(&model.name);
        catalog.named.extend(names.map(|name| (name, Arc::clone(&features))));
    }
    for function in model.functions()? {
        catalog.state.register_udf(function)?;
    }
    catalog.functions.push(model.metrics);
    Ok(())
}

fn check_new(catalog: &Catalog, name: &str) -> Result<()> {
    let state = &catalog.state;
    let is_taken = state.scalar_functions().contains_key(name)
        || state.aggregate_functions().contains_key(name)
        || state.window_functions().contains_key(name)
        || state.higher_order_functions().contains_key(name);
    if is_taken {
        return Err(Error::invalid(format!("there is already a function `{name}`")).hint("give it another name"));
    }
    Ok(())
}

/// Checks every call of a function that was created NAMED.
pub(super) fn check_named(named: &NamedFunctions, tree: &impl Visit) -> Result<()> {
    let walked = visit_expressions(tree, |expression| {
        let AstExpr::Function(call) = expression else { return ControlFlow::Continue(()) };
        match check_call(named, call) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    });
    match walked {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

fn check_call(named: &NamedFunctions, call: &Function) -> Result<()> {
    let [part] = call.name.0.as_slice() else { return Ok(()) };
    let Some(name) = part.as_ident().map(normalize) else { return Ok(()) };
    let Some(features) = named.get(&name) else { return Ok(()) };
    let FunctionArguments::List(arguments) = &call.args else { return Ok(()) };
    for (index, argument) in arguments.args.iter().enumerate() {
        // A wrong number of arguments, or a wrong name before `=>`, is found by DataFusion.
        let (Some(wanted), FunctionArg::Unnamed(FunctionArgExpr::Expr(expression))) = (features.get(index), argument)
        else {
            continue;
        };
        let given = column_name(expression).map(normalize);
        if given.as_ref() != Some(wanted) {
            let found = given.map_or_else(|| format!("`{expression}`"), |name| format!("column `{name}`"));
            return Err(Error::invalid(format!(
                "`{name}` was created NAMED: argument {} is the feature `{wanted}`, but {found} was given",
                index + 1
            ))
            .hint(format!("give a column called `{wanted}`, or write {wanted} => …; the features are {}", list(features.iter().map(String::as_str))))
            .at(part.as_ident().and_then(|ident| location(ident.span.start))));
        }
    }
    Ok(())
}

fn column_name(expression: &AstExpr) -> Option<&Ident> {
    match expression {
        AstExpr::Identifier(ident) => Some(ident),
        AstExpr::CompoundIdentifier(parts) => parts.last(),
        _ => None,
    }
}
