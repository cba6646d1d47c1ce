/* input flows
1970-01-01 00:00:00,x,1
1970-01-01 00:00:20,x,2
1970-01-01 00:00:10,x,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '30 seconds')
WITH (connector = 'test', format = 'csv');
SELECT session(INTERVAL '10 seconds') AS window, count(*) AS n, sum(v) AS total FROM flows GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:10, is_cut: false} | 1 | 1
{start: 1970-01-01T00:00:10, end: 1970-01-01T00:00:20, is_cut: false} | 1 | 4
{start: 1970-01-01T00:00:20, end: 1970-01-01T00:00:30, is_cut: false} | 1 | 2
*/
