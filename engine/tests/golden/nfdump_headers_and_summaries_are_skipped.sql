/* input flows
ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt,in,out,sas,das,smk,dmk,dtos,dir,nh,nhb,svln,dvln,ismc,odmc,idmc,osmc,mpls1,mpls2,mpls3,mpls4,mpls5,mpls6,mpls7,mpls8,mpls9,mpls10,cl,sl,al,ra,eng,exid,tr
2024-01-01 00:00:00,2024-01-01 00:00:01,1.000,10.0.0.1,192.0.2.7,40000,3333,TCP,...AP...,0,0,1,1000,8,800,1,2,0,0,0,0,0,0,0.0.0.0,0.0.0.0,0,0,00:00:00:00:00:00,00:00:00:00:00:00,00:00:00:00:00:00,00:00:00:00:00:00,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,    0.000,    0.000,    0.000,0.0.0.0,0/0,1,2024-01-01 00:00:01.500
Summary
flows,bytes,packets,avg_bps,avg_pps,avg_bpp
1,1000,1,8000,1,1000
*/
/* oracle input flows
2024-01-01 00:00:01,10.0.0.1,3333,1,1000
*/
CREATE TABLE flows (te TIMESTAMP, sa TEXT, dp INT, ipkt BIGINT, ibyt BIGINT, WATERMARK FOR te)
WITH (connector = 'test', format = 'csv', csv.columns = 'nfdump');
SELECT te, sa, dp, ipkt, ibyt FROM flows;
/* expected results
2024-01-01T00:00:01 | 10.0.0.1 | 3333 | 1 | 1000
*/
