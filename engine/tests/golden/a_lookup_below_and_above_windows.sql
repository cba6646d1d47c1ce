/* list hosts.csv
a,server
b,client
*/
/* input flows
2024-01-01T00:00:01,a,b,1,1
2024-01-01T00:00:02,b,a,1,2
2024-01-01T00:00:03,c,a,1,3
2024-01-01T00:00:11,a,c,1,4
*/
/* oracle
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
CREATE VIEW roles AS SELECT *, CASE sa WHEN 'a' THEN 'server' WHEN 'b' THEN 'client' END AS source,
    CASE da WHEN 'a' THEN 'server' WHEN 'b' THEN 'client' END AS target FROM flows;
SELECT w.start, source, target, n FROM (
    SELECT source, target, tumble(INTERVAL '10 seconds') AS w, sum(n) AS n FROM roles GROUP BY source, target, w);
SELECT w.start, sa, CASE sa WHEN 'a' THEN 'server' WHEN 'b' THEN 'client' END AS role, n FROM (
    SELECT sa, tumble(INTERVAL '10 seconds') AS w, sum(n) AS n FROM flows GROUP BY sa, w) WHERE sa IN ('a', 'b');
*/
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
CREATE TABLE hosts (name TEXT, role TEXT) WITH (connector = 'lookup', path = 'hosts.csv', format = 'csv', key = 'name');
CREATE VIEW roles AS SELECT flows.*, s.role AS source, d.role AS target
    FROM flows LEFT JOIN hosts s ON s.name = sa LEFT JOIN hosts AS d ON da = d.name;
SELECT w.start, source, target, n FROM (
    SELECT source, target, tumble(INTERVAL '10 seconds') AS w, sum(n) AS n FROM roles GROUP BY source, target, w);
SELECT w.start, sa, role, n FROM (
    SELECT sa, tumble(INTERVAL '10 seconds') AS w, sum(n) AS n FROM flows GROUP BY sa, w) JOIN hosts ON name = sa;
/* expected results
2024-01-01T00:00:00 | client | server | 2
2024-01-01T00:00:00 | server | client | 1
2024-01-01T00:00:00 | ∅ | server | 3
2024-01-01T00:00:10 | server | ∅ | 4
*/
/* expected results_2
2024-01-01T00:00:00 | a | server | 1
2024-01-01T00:00:00 | b | client | 2
2024-01-01T00:00:10 | a | server | 4
*/
