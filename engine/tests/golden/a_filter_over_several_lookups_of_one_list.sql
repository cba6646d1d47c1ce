/* list hosts.csv
a,server
b,client
*/
/* list others.csv
z,zone
*/
/* input flows
2024-01-01T00:00:01,a,b,1,1
2024-01-01T00:00:02,b,a,2,2
2024-01-01T00:00:03,c,a,3,3
2024-01-01T00:00:04,c,b,4,4
2024-01-01T00:00:05,c,c,5,5
*/
/* oracle
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
SELECT n, CASE sa WHEN 'a' THEN 'server' WHEN 'b' THEN 'client' ELSE CASE da WHEN 'a' THEN 'server' WHEN 'b' THEN 'client' END END AS role
    FROM flows WHERE sa <> 'b' AND NOT (sa = 'c' AND da = 'b');
*/
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
CREATE TABLE hosts (name TEXT, role TEXT) WITH (connector = 'lookup', path = 'hosts.csv', format = 'csv', key = 'name');
CREATE TABLE others (name TEXT, role TEXT) WITH (connector = 'lookup', path = 'others.csv', format = 'csv', key = 'name');
-- The filter is moved below all lookups.
CREATE VIEW roles AS SELECT n, coalesce(s.role, d.role, p.role) AS role, o.role AS other
    FROM flows f LEFT JOIN others o ON o.name = f.sa LEFT JOIN hosts s ON s.name = f.sa LEFT JOIN hosts d ON d.name = f.da
    LEFT JOIN hosts p ON p.name = concat('p', f.dp);
SELECT n, role FROM roles WHERE (role = 'client') IS NOT TRUE AND other IS NULL;
/* expected results
1 | server
3 | server
5 | ∅
*/
