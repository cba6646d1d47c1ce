/* no oracle: a lookup is no join in DataFusion; random lists are searched one network after the other in engine/src/lookup/networks.rs */
/* list miners.csv
# name columns
network,name,severity

10.0.0.0/8,ours,low
10.1.0.0/16,lab,
10.1.2.3,"pool, one",critical
2001:db8::/32,six,high
*/
/* input flows
2024-01-01T00:00:01,1.1.1.1,10.9.9.9,80,1
2024-01-01T00:00:02,1.1.1.1,10.1.9.9,80,2
2024-01-01T00:00:03,1.1.1.1,10.1.2.3,80,3
2024-01-01T00:00:04,1.1.1.1,::ffff:10.1.2.3,80,4
2024-01-01T00:00:05,1.1.1.1,2001:db8:1::2,80,5
2024-01-01T00:00:06,1.1.1.1,11.0.0.0,80,6
2024-01-01T00:00:07,1.1.1.1,no address,80,7
2024-01-01T00:00:08,1.1.1.1,,80,8
*/
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
CREATE TABLE miners (network TEXT, name TEXT, severity TEXT)
    WITH (connector = 'lookup', path = 'miners.csv', format = 'csv', 'csv.columns' = 'header', key = 'network', match = 'cidr');
SELECT n, da, miners.network, m_name, severity FROM (
    SELECT flows.*, miners.*, miners.name AS m_name FROM flows LEFT JOIN miners ON miners.network = flows.da) AS miners;
SELECT n, m.name FROM miners AS m JOIN flows f ON f.da = m.network WHERE severity <> 'low';
/* expected results
1 | 10.9.9.9 | 10.0.0.0/8 | ours | low
2 | 10.1.9.9 | 10.1.0.0/16 | lab | ∅
3 | 10.1.2.3 | 10.1.2.3 | pool, one | critical
4 | ::ffff:10.1.2.3 | 10.1.2.3 | pool, one | critical
5 | 2001:db8:1::2 | 2001:db8::/32 | six | high
6 | 11.0.0.0 | ∅ | ∅ | ∅
7 | no address | ∅ | ∅ | ∅
8 | ∅ | ∅ | ∅ | ∅
*/
/* expected results_2
3 | pool, one
4 | pool, one
5 | six
*/
