CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k FROM flows
WHERE k IN (SELECT k FROM flows WHERE v > 1);
/* expected error
line 4, column 13: a sub-query over a stream needs a window; aggregate both sides by a window, and correlate the sub-query on the window
*/
