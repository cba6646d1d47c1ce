CREATE TABLE flows (ts TIMESTAMP, k TEXT, bytes_pp DOUBLE, gap_s DOUBLE, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE FUNCTION f USING MODEL 'tiny/card.toml' NAMED;
SELECT k FROM flows WHERE 0.5 < f_class(bytes_pp, gap_s + 1);
/* expected error
line 4, column 33: `f_class` was created NAMED: argument 2 is the feature `gap_s`, but `gap_s + 1` was given; give a column called `gap_s`, or write gap_s => …; the features are `bytes_pp`, `gap_s`
*/
