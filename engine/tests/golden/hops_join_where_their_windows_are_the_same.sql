/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:06,y,2
1970-01-01 00:00:11,x,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW ten AS SELECT k, hop(INTERVAL '5 seconds', INTERVAL '10 seconds') AS window, sum(v) AS total FROM flows GROUP BY 1, 2;
CREATE VIEW every AS SELECT hop(INTERVAL '5 seconds', INTERVAL '10 seconds') AS window, sum(v) AS total FROM flows GROUP BY 1;
SELECT t.k, t.window, t.total, e.total AS of FROM ten t JOIN every e ON t.window = e.window WHERE t.total < e.total;
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:10} | 1 | 3
x | {start: 1970-01-01T00:00:05, end: 1970-01-01T00:00:15} | 4 | 6
y | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:10} | 2 | 3
y | {start: 1970-01-01T00:00:05, end: 1970-01-01T00:00:15} | 2 | 6
*/
