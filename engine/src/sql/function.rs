//! CREATE FUNCTION: a model by its card, or a plug-in by its library.
//!
//! ```sql
//! CREATE FUNCTION mining_score USING MODEL 'models/miner_series/card.toml';
//! CREATE FUNCTION mining_score USING MODEL 'models/miner_series/card.toml' NAMED WITH (backend = 'onnxruntime');
//! CREATE FUNCTION ratio(DOUBLE, DOUBLE) RETURNS DOUBLE USING LIBRARY 'libratio.so'
//!     WITH (sha256 = '…', timeout = '10s', on_error = 'null');
//! ```
//! `NAMED` makes every call prove that it gives the model's features: by columns of their names in their order, or by
//! `feature => expression`. It is checked in the script's text, where names have not been optimised away.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::execution::FunctionRegistry;
use datafusion::sql::sqlparser::ast::{
    self, Expr as AstExpr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Visit, visit_expressions,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use davy_forest::scorer::Backend;

use super::catalog::{Catalog, list};
use super::script::{Parsed, location, normalize, parse_name, parse_options, refuse};
use super::{PlanRequest, sql_error};
use crate::error::{Error, Location, Result};
use crate::metrics::FunctionMetrics;
use crate::options::Options;
use crate::udf::library::{Library, Limits, abi_type};
use crate::udf::model::Model;
use crate::udf::plugin::{OnError, Plugin};

#[derive(Clone, Debug)]
pub struct CreateFunction {
    pub name: Ident,
    pub body: FunctionBody,
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
    /// `(TYPE, …) RETURNS TYPE USING LIBRARY 'path'`.
    Library {
        /// Where the library is.
        path: String,
        /// Types of the arguments, in order.
        arguments: Vec<ast::DataType>,
        /// Type of the result.
        returns: ast::DataType,
    },
}

/// The functions that the script has created, by the names they are called by; with their features if they were created NAMED.
pub type Created = BTreeMap<String, Option<Arc<[String]>>>;

/// Parses what follows `CREATE FUNCTION`.
pub(super) fn parse(parser: &mut Parser<'_>) -> Parsed<CreateFunction> {
    let name = parse_name(parser)?;
    let next = parser.peek_token();
    let arguments = if next.token == Token::LParen { Some(parse_types(parser)?) } else { None };
    let returns = if parser.parse_keyword(Keyword::RETURNS) { Some(parser.parse_data_type()?) } else { None };
    parser.expect_keyword(Keyword::USING)?;
    let what = parser.next_token();
    let body = if is_word(&what, "model") {
        if arguments.is_some() || returns.is_some() {
            return refuse(
                &next,
                "a model's arguments stand in its card; write CREATE FUNCTION name USING MODEL 'card.toml'",
            );
        }
        let card = parser.parse_literal_string()?;
        let is_named = is_word(&parser.peek_token(), "named");
        if is_named {
            parser.next_token();
        }
        FunctionBody::Model { card, is_named }
    } else if is_word(&what, "library") {
        let (Some(arguments), Some(returns)) = (arguments, returns) else {
            return refuse(
                &what,
                "a library's function needs its types: CREATE FUNCTION name(DOUBLE, …) RETURNS DOUBLE USING LIBRARY 'lib….so'",
            );
        };
        FunctionBody::Library { path: parser.parse_literal_string()?, arguments, returns }
    } else {
        return refuse(&what, &format!("expected MODEL 'card.toml' or LIBRARY 'lib….so' after USING, found `{what}`"));
    };
    let options = if parser.parse_keyword(Keyword::WITH) { parse_options(parser)? } else { Vec::new() };
    Ok(CreateFunction { name, body, options })
}

/// `(TYPE, …)`.
fn parse_types(parser: &mut Parser<'_>) -> Parsed<Vec<ast::DataType>> {
    parser.expect_token(&Token::LParen)?;
    let mut types = Vec::new();
    if parser.consume_token(&Token::RParen) {
        return Ok(types);
    }
    loop {
        types.push(parser.parse_data_type()?);
        if !parser.consume_token(&Token::Comma) {
            parser.expect_token(&Token::RParen)?;
            return Ok(types);
        }
    }
}

fn is_word(token: &TokenWithSpan, wanted: &str) -> bool {
    matches!(&token.token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
}

/// Loads what a CREATE FUNCTION names and adds its functions to the catalog.
pub(super) fn define(catalog: &mut Catalog, request: &PlanRequest<'_>, ddl: &CreateFunction) -> Result<()> {
    let name = ddl.name.value.as_str();
    let mut options = request.options(Options::of_function(name), name, &ddl.options)?;
    let about = format!("function `{name}`");
    let stopwatch = request.connectors.stopwatch();
    match &ddl.body {
        FunctionBody::Model { card, is_named } => {
            let card = options.take("model").map_or_else(|| request.resolve(card), Ok)?;
            let backends =
                [("auto", Backend::Auto), ("native", Backend::Native), ("onnxruntime", Backend::OnnxRuntime)];
            let backend = options.parse_choice("backend", &backends)?.unwrap_or_default();
            options.finish()?;
            for function in Model::function_names(name).into_iter().chain([Model::info_name(name)]) {
                check_new(catalog, &function)?;
            }
            let scorer = request.connectors.model(&card, backend).map_err(|error| error.context(&about))?;
            let model_card = scorer.card();
            let what = format!("model {} {} by {}", model_card.name, model_card.version, scorer.backend());
            let metrics = Arc::new(FunctionMetrics::new(name, what));
            let model = Model { name: name.into(), scorer, metrics, stopwatch };
            define_model(catalog, model, *is_named)
        }
        FunctionBody::Library { path, arguments, returns } => {
            let path = options.take("library").map_or_else(|| request.resolve(path), Ok)?;
            let sha256 = options.take("sha256");
            let choices = [("null", OnError::Null), ("fail", OnError::Fail)];
            let on_error = options.parse_choice("on_error", &choices)?.unwrap_or_default();
            let mut limits = Limits::default();
            limits.call = options.parse_duration("timeout")?.unwrap_or(limits.call);
            options.finish()?;
            check_new(catalog, name)?;
            let (arguments, returns) = types(catalog, &about, arguments, returns)?;
            let vetted = request.connectors.library(&path, sha256.as_deref()).map_err(|error| error.context(&about))?;
            let library = Library::open_with(&vetted.path, name, limits)?;
            if let Some(info) = library.abi_info() {
                info.check(name, &arguments, &returns)?;
            }
            let metrics = Arc::new(FunctionMetrics::new(name, format!("library {path}")));
            catalog.functions.push(Arc::clone(&metrics));
            catalog.created.insert(name.to_owned(), None);
            catalog
                .state
                .register_udf(Plugin { library, arguments, returns, on_error, metrics, stopwatch }.function())?;
            Ok(())
        }
    }
}

/// The declared types, which must be able to cross into a library.
fn types(
    catalog: &Catalog,
    about: &str,
    arguments: &[ast::DataType],
    returns: &ast::DataType,
) -> Result<(Vec<DataType>, DataType)> {
    if arguments.is_empty() {
        return Err(Error::invalid(format!("{about}: a library's function has at least one argument"))
            .hint("the ABI says by its arguments for how many rows it is called; give it a column"));
    }
    let column = |data_type: &ast::DataType| ast::ColumnDef {
        name: Ident::new("argument"),
        data_type: data_type.clone(),
        options: Vec::new(),
    };
    let mut types = Vec::new();
    for written in arguments.iter().chain([returns]) {
        let schema = catalog.sql().build_schema(vec![column(written)]).map_err(sql_error)?;
        let data_type = schema.field(0).data_type().clone();
        if abi_type(&data_type).is_none() {
            return Err(Error::invalid(format!("{about}: {written} cannot be passed to or from a library"))
                .hint("integers, FLOAT, DOUBLE, BOOLEAN, TEXT, BYTEA, DATE and TIMESTAMP can; CAST in the query"));
        }
        types.push(data_type);
    }
    let returns = types.pop().ok_or_else(|| Error::internal("a function without a type"))?;
    Ok((types, returns))
}

fn define_model(catalog: &mut Catalog, model: Model, is_named: bool) -> Result<()> {
    let features = model.scorer.card().features.iter().map(|feature| feature.name.clone());
    let features: Option<Arc<[String]>> = is_named.then(|| features.collect());
    catalog.created.extend(Model::function_names(&model.name).map(|name| (name, features.clone())));
    catalog.created.insert(Model::info_name(&model.name), None);
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

/// Checks every call of a function that the script has created.
pub(super) fn check_calls(created: &Created, tree: &impl Visit) -> Result<()> {
    let walked = visit_expressions(tree, |expression| {
        let AstExpr::Function(call) = expression else { return ControlFlow::Continue(()) };
        match check_call(created, call) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    });
    match walked {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

fn check_call(created: &Created, call: &Function) -> Result<()> {
    let [part] = call.name.0.as_slice() else { return Ok(()) };
    let Some(name) = part.as_ident().map(normalize) else { return Ok(()) };
    let Some(features) = created.get(&name) else { return Ok(()) };
    let at = part.as_ident().and_then(|ident| location(ident.span.start));
    let FunctionArguments::List(arguments) = &call.args else { return Ok(()) };
    // DataFusion reads over these in silence.
    let is_aggregate = call.over.is_some() || call.filter.is_some() || arguments.duplicate_treatment.is_some();
    if is_aggregate {
        return Err(Error::invalid(format!(
            "`{name}` is computed row by row: DISTINCT, FILTER and OVER mean nothing to it"
        ))
        .hint("leave them out, or use them in an aggregate of its results")
        .at(at));
    }
    let Some(features) = features else { return Ok(()) };
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
            .hint(format!(
                "give a column called `{wanted}`, or write {wanted} => …; the features are {}",
                list(features.iter().map(String::as_str))
            ))
            .at(at));
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
