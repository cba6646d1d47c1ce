CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k FROM flows
WHERE v + 1;
/* expected error
line 4, column 7: cannot create filter with non-boolean predicate 'flows.v + Int64(1)' returning Int64
*/
