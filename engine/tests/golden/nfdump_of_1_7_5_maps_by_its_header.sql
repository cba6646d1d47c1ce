/* input flows
firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,flows
2024-01-01 00:00:01.000,0.500,TCP,10.0.0.1,40000,192.0.2.7,3333,5,500,1
2024-01-01 00:00:02.000,0.500,UDP,10.0.0.2,40001,192.0.2.8,53,1,70,1
*/
/* oracle input flows
2024-01-01 00:00:01,0.5,10.0.0.1,3333,5
2024-01-01 00:00:02,0.5,10.0.0.2,53,1
*/
CREATE TABLE flows (ts TIMESTAMP, td DOUBLE, sa TEXT, dp INT, ipkt BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv', csv.columns = 'nfdump');
SELECT ts, td, sa, dp, ipkt FROM flows;
/* expected results
2024-01-01T00:00:01 | 0.5 | 10.0.0.1 | 3333 | 5
2024-01-01T00:00:02 | 0.5 | 10.0.0.2 | 53 | 1
*/
