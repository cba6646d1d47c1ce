CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k,
  substr(v) FROM flows;
/* expected error
line 3, column 1: substring without for/from is not valid Substring { expr: Identifier(Ident { value: "v", quote_style: None, span: Span(Location(4,10)..Location(4,11)) }), substring_from: None, substring_for: None, special: false, shorthand: false }
*/
