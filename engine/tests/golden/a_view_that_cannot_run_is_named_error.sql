CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW counted AS SELECT k, count(*) AS n FROM flows GROUP BY k;
SELECT k
FROM counted;
/* expected error
line 4, column 1: an aggregate without a window would update its rows for ever, which is not supported yet; add tumble(…), hop(…) or session(…) to GROUP BY
*/
