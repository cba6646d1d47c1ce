/* list ports.json
{"port": 3333, "name": "stratum", "pr": "TCP"}
{"port": 4444, "name": "metasploit"}
{"port": 8080}
*/
/* input flows
2024-01-01T00:00:01,1.1.1.1,a,3333,1
2024-01-01T00:00:02,1.1.1.1,a,3333,-2
2024-01-01T00:00:03,1.1.1.1,b,4444,3
2024-01-01T00:00:04,1.1.1.1,b,8080,4
2024-01-01T00:00:05,1.1.1.1,c,,5
2024-01-01T00:00:06,1.1.1.1,c,1,6
*/
/* oracle
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
CREATE VIEW entries AS SELECT flows.*, CASE dp WHEN 3333 THEN 'stratum' WHEN 4444 THEN 'metasploit' END AS entry FROM flows;
SELECT n, CASE WHEN n > 0 AND entry = 'stratum' THEN 3333 END, CASE WHEN n > 0 AND entry = 'stratum' THEN entry END FROM entries;
SELECT n, entry, n + 1 FROM entries WHERE dp IN (3333, 4444, 8080) AND (entry IS NULL OR n > 1);
SELECT CASE WHEN dp IN (3333, 4444, 8080) THEN CAST(dp AS BIGINT) END, n FROM entries;
*/
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
CREATE TABLE ports (port BIGINT NOT NULL, name TEXT, pr TEXT) WITH (connector = 'lookup', path = 'ports.json', format = 'json', key = 'port');
SELECT n, port, name FROM flows LEFT JOIN ports ON n > 0 AND name = 'stratum' AND dp = port;
SELECT n, p.name, more FROM (SELECT dp, n, n + 1 AS more FROM flows) f JOIN ports p ON p.port = f.dp AND (p.name IS NULL OR n > 1);
SELECT p.port, n FROM ports p RIGHT JOIN flows ON flows.dp = p.port;
/* expected results
-2 | ∅ | ∅
1 | 3333 | stratum
3 | ∅ | ∅
4 | ∅ | ∅
5 | ∅ | ∅
6 | ∅ | ∅
*/
/* expected results_2
3 | metasploit | 4
4 | ∅ | 5
*/
/* expected results_3
3333 | -2
3333 | 1
4444 | 3
8080 | 4
∅ | 5
∅ | 6
*/
