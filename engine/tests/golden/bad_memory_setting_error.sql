CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SET memory = 'much';
SELECT k FROM flows;
/* expected error
setting `memory` cannot be `much`; write a size such as '512MiB'
*/
