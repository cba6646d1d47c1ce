/* input flows
2024-01-01T00:00:01,10.1.1.1,192.168.0.1,1,1
2024-01-01T00:00:02,::ffff:10.1.1.1,fd00::1,1,2
2024-01-01T00:00:03,11.0.0.0,no address,1,3
2024-01-01T00:00:04,,::1,1,4
*/
/* oracle
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
SELECT n, CASE n WHEN 4 THEN CAST(NULL AS BOOLEAN) ELSE n < 3 END, n < 3 FROM flows;
*/
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
SELECT n, cidr_match(sa, '10.0.0.0/8'), cidr_match(da, '192.168.0.0/16', 'fc00::/7') FROM flows;
/* expected results
1 | true | true
2 | true | true
3 | false | false
4 | ∅ | false
*/
