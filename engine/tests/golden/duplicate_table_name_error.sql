CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE flows (k TEXT) WITH (connector = 'sink');
SELECT k FROM flows;
/* expected error
line 3, column 14: `flows` is already defined; give it another name
*/
