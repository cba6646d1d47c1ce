/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:01:31,x,1
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '90' SECOND) AS w, count(*) AS n FROM flows GROUP BY 1;
SELECT tumble(INTERVAL '1 minute 30 seconds') AS w, count(*) AS n FROM flows GROUP BY 1;
SELECT tumble(INTERVAL '1.5 minutes') AS w, count(*) AS n FROM flows GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:30} | 1
{start: 1970-01-01T00:01:30, end: 1970-01-01T00:03:00} | 1
*/
/* expected results_2
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:30} | 1
{start: 1970-01-01T00:01:30, end: 1970-01-01T00:03:00} | 1
*/
/* expected results_3
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:30} | 1
{start: 1970-01-01T00:01:30, end: 1970-01-01T00:03:00} | 1
*/
