/* input flows
*/
CREATE TABLE flows (ts TIMESTAMP, x DOUBLE, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, approx_distinct(x) AS n FROM flows GROUP BY 1;
/* expected error
line 5, column 42: aggregate approx_distinct does not work: This feature is not implemented: Support for 'approx_distinct' for data type Float64 is not implemented; cast its argument to another type, or use another aggregate
*/
