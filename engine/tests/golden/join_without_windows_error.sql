CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT a.k FROM flows a
JOIN flows b ON a.k = b.k;
/* expected error
line 4, column 1: a join without windows is not supported; aggregate both sides by a window and join on the window
*/
