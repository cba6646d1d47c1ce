CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k FROM flows
WHERE hop(INTERVAL '1 minute', INTERVAL '2 minutes').start > '2020-01-01';
/* expected error
line 3, column 1: dot access not supported for non-string expr:
*/
