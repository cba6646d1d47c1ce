CREATE TABLE flows (ts TIMESTAMP, k TEXT, bytes_pp DOUBLE, gap_s DOUBLE, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE FUNCTION f USING MODEL 'tiny/card.toml' NAMED;
CREATE TABLE t (a DOUBLE, b DOUBLE GENERATED ALWAYS AS (f(a, a))) WITH (connector = 'test', format = 'csv'); SELECT * FROM t;
/* expected error
line 4, column 57: `f` was created NAMED: argument 1 is the feature `bytes_pp`, but column `a` was given; give a column called `bytes_pp`, or write bytes_pp => …; the features are `bytes_pp`, `gap_s`
*/
