/* input flows
2024-02-28 23:59:59.9999,x,1
2024-02-29 00:00:00,x,2
2024-02-29 23:59:59,x,3
2024-03-01 00:00:00.0004,x,4
2024-03-01 00:00:00.0011,x,5
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 day') AS window, count(*) AS n FROM flows GROUP BY 1;
SELECT tumble(INTERVAL '1 millisecond') AS window, count(*) AS n FROM flows GROUP BY 1;
/* expected results
{start: 2024-02-28T00:00:00, end: 2024-02-29T00:00:00} | 1
{start: 2024-02-29T00:00:00, end: 2024-03-01T00:00:00} | 2
{start: 2024-03-01T00:00:00, end: 2024-03-02T00:00:00} | 2
*/
/* expected results_2
{start: 2024-02-28T23:59:59.999, end: 2024-02-29T00:00:00} | 1
{start: 2024-02-29T00:00:00, end: 2024-02-29T00:00:00.001} | 1
{start: 2024-02-29T23:59:59, end: 2024-02-29T23:59:59.001} | 1
{start: 2024-03-01T00:00:00, end: 2024-03-01T00:00:00.001} | 1
{start: 2024-03-01T00:00:00.001, end: 2024-03-01T00:00:00.002} | 1
*/
