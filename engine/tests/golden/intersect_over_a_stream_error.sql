CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k FROM flows INTERSECT SELECT k FROM flows WHERE v > 1;
/* expected error
line 3, column 21: a join without windows is not supported; aggregate both sides by a window and join on the window
*/
