/* input flows
*/
CREATE TABLE flows (ts TIMESTAMP, x DOUBLE, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW sums AS SELECT tumble(INTERVAL '1 minute') AS w, x, sum(x) AS s FROM flows GROUP BY 1, 2;
SELECT w.start, approx_distinct(s) AS n FROM sums GROUP BY w;
/* expected error
line 6, column 1: support for 'approx_distinct' for data type Float64 is not implemented
*/
