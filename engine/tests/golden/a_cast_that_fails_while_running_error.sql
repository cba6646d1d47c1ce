/* input flows
1970-01-01 00:00:01,x,1
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT CAST(k AS BIGINT) AS n FROM flows;
/* expected error
Arrow error: Cast error: Cannot cast string 'x' to value of Int64 type
*/
