/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:01:01,y,2
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts) WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, avg(v) AS a FROM flows GROUP BY 1 HAVING false;
SELECT tumble(INTERVAL '1 minute') AS w, sum(v) AS s FROM flows GROUP BY 1 HAVING 1 = 2
UNION ALL SELECT tumble(INTERVAL '1 minute') AS w, count(*) AS s FROM flows GROUP BY 1;
SELECT tumble(INTERVAL '1 minute') AS w, sum(v) AS s FROM flows WHERE false GROUP BY 1;
SELECT k, v FROM flows WHERE false;
/* expected results
*/
/* expected results_2
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 1
*/
/* expected results_3
*/
/* expected results_4
*/
