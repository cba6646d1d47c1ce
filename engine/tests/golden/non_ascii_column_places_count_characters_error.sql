CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT 'Grüße 😀' AS é, portt FROM flows;
/* expected error
line 3, column 24: no field named portt; Valid fields are flows.ts, flows.k, flows.v
*/
