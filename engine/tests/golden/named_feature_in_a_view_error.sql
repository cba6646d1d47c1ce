CREATE TABLE flows (ts TIMESTAMP, k TEXT, bytes_pp DOUBLE, gap_s DOUBLE, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE FUNCTION f USING MODEL 'tiny/card.toml' NAMED;
CREATE VIEW v AS SELECT k, f(bytes_pp, ts) AS s FROM flows; SELECT * FROM v;
/* expected error
line 4, column 28: `f` was created NAMED: argument 2 is the feature `gap_s`, but column `ts` was given; give a column called `gap_s`, or write gap_s => …; the features are `bytes_pp`, `gap_s`
*/
