CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k FROM flows FOR UPDATE;
/* expected error
line 3, column 21: FOR UPDATE and FOR SHARE are not supported; leave it out
*/
