CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT f.k, x.n FROM flows f CROSS JOIN LATERAL (SELECT f.v + 1 AS n) x;
/* expected error
line 3, column 36: a join without windows is not supported; aggregate both sides by a window and join on the window
*/
