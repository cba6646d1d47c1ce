CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE out (k TEXT, n BIGINT) WITH (connector = 'sink');
INSERT INTO out SELECT k, v FROM flows;
INSERT INTO out SELECT k, count(*) FROM flows GROUP BY k;
/* expected error
line 5, column 47: an aggregate without a window would update its rows for ever, which is not supported yet; add tumble(…), hop(…) or session(…) to GROUP BY
*/
