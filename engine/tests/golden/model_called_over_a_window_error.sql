CREATE TABLE flows (ts TIMESTAMP, k TEXT, bytes_pp DOUBLE, gap_s DOUBLE, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE FUNCTION f USING MODEL 'tiny/card.toml';
SELECT f(bytes_pp, gap_s) OVER () AS s FROM flows;
/* expected error
line 4, column 8: `f` is computed row by row: DISTINCT, FILTER and OVER mean nothing to it; leave them out, or use them in an aggregate of its results
*/
