CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k,
       port FROM flows;
/* expected error
line 4, column 8: no field named port; Valid fields are flows.ts, flows.k, flows.v
*/
