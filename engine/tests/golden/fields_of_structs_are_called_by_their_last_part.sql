/* input flows
1970-01-01 00:00:01,x,1
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts) WITH (connector = 'test', format = 'csv');
CREATE VIEW u AS SELECT k, tumble(INTERVAL '20 minutes') AS w, count(*) AS n FROM flows GROUP BY 1, 2;
CREATE VIEW named AS SELECT u.w.start, w."end", k, sum(n) AS n FROM u GROUP BY w, k;
SELECT start, "end", k, n FROM named;
SELECT u.w.start, u.k FROM u ORDER BY u.w.start, u.k;
/* expected results
1970-01-01T00:00:00 | 1970-01-01T00:20:00 | x | 1
*/
/* expected results_2
1970-01-01T00:00:00 | x
*/
