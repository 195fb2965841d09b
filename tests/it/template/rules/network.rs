//! The network between senders and brokers: who is in it, and that nobody gets in from outside.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::brokers::SENDERS;
use crate::template::stack::{Stack, entries, list};

const NETWORK: &str = "infra/aws/network.yaml";

/// Kafka's with IAM; RabbitMQ's with TLS, and its API, where queues are declared.
const PORTS: &[(&str, &[u64])] = &[("infra/aws/msk.yaml", &[9098]), ("infra/aws/mq.yaml", &[443, 5671])];

/// The functions that send are in the network where there is one, after their roles may join it; no other pays for it.
pub(super) fn members(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    let split = |name| json!({ "Fn::Split": [",", { "Fn::GetAtt": ["Network", "Outputs", name] }] });
    let inside = json!({ "Fn::If": [
        "InNetwork",
        { "SubnetIds": split("SubnetIds"), "SecurityGroupIds": split("SecurityGroupIds") },
        { "Ref": "AWS::NoValue" },
    ] });
    for id in stack.functions() {
        let place = stack.setting(id, "VpcConfig");
        if !SENDERS.contains(&id) {
            if !place.is_null() {
                faults.push(format!("{id}: is in the network, and sends nothing to brokers"));
            }
            continue;
        }
        if place != &inside {
            faults.push(format!("{id}: is not in the network where there is one"));
        }
        if !list(stack.at(&format!("/Resources/{id}/DependsOn"))).contains(&&json!("JoinNetwork")) {
            faults.push(format!("{id}: could be made before its role may join the network"));
        }
        let mut missing: BTreeSet<&str> = [
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
        ]
        .into();
        for right in stack.rights(id) {
            missing.retain(|action| !right.actions.iter().any(|own| own == action));
        }
        if !missing.is_empty() {
            faults.push(format!("{id}: cannot join the network without {missing:?}"));
        }
    }
    faults
}

/// Resources of a type in a nested template.
fn of_type<'a>(stack: &'a Stack, path: &str, kind: &str) -> Vec<(&'a str, &'a Value)> {
    let resources = entries(stack.nested_at(path, "/Resources"));
    let found = resources.filter(|(_, resource)| resource["Type"] == kind);
    found.map(|(id, resource)| (id, &resource["Properties"])).collect()
}

/// Two private subnets in two zones, whose way out is the gateway, whose way to the tables is not, and which have no way in.
pub(super) fn closed(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    let property =
        |id: &str, key: &str| stack.nested_at(NETWORK, &format!("/Resources/{id}/Properties/{key}"));
    for (id, subnet) in of_type(stack, NETWORK, "AWS::EC2::Subnet") {
        if subnet["MapPublicIpOnLaunch"] != json!(false) {
            faults.push(format!("{id}: gives addresses that are seen outside"));
        }
    }
    let private = ["PrivateSubnetA", "PrivateSubnetB"];
    let zones = private.map(|id| property(id, "AvailabilityZone"));
    if zones[0] == zones[1] || zones[0].is_null() {
        faults.push("the private subnets are in one zone, and MSK wants two".into());
    }
    for id in private {
        let routes = of_type(stack, NETWORK, "AWS::EC2::SubnetRouteTableAssociation");
        let own = routes.iter().filter(|(_, route)| route["SubnetId"] == json!({ "Ref": id }));
        if own.map(|(_, route)| &route["RouteTableId"]).collect::<Vec<_>>()
            != [&json!({ "Ref": "PrivateRoutes" })]
        {
            faults.push(format!("{id}: has not the routes of a private subnet"));
        }
    }
    let routes = of_type(stack, NETWORK, "AWS::EC2::Route").into_iter();
    let of_private = routes.filter(|(_, route)| route["RouteTableId"] == json!({ "Ref": "PrivateRoutes" }));
    let ways: Vec<_> = of_private.map(|(_, route)| &route["NatGatewayId"]).collect();
    if ways != [&json!({ "Ref": "NatGateway" })] {
        faults.push("the way out of the private subnets is not the NAT gateway alone".into());
    }
    let tables = json!({ "Fn::Sub": "com.amazonaws.${AWS::Region}.dynamodb" });
    let endpoint = of_type(stack, NETWORK, "AWS::EC2::VPCEndpoint").into_iter().any(|(_, endpoint)| {
        endpoint["ServiceName"] == tables
            && endpoint["VpcEndpointType"] == "Gateway"
            && endpoint["RouteTableIds"] == json!([{ "Ref": "PrivateRoutes" }])
    });
    if !endpoint {
        faults.push("the tables are reached through the NAT gateway, which is paid by the gigabyte".into());
    }
    for (id, group) in of_type(stack, NETWORK, "AWS::EC2::SecurityGroup") {
        if !group["SecurityGroupIngress"].is_null() {
            faults.push(format!("{id}: lets somebody in to the functions"));
        }
    }
    for (id, resource) in entries(stack.nested_at(NETWORK, "/Resources")) {
        if id != "Nothing" && resource["Condition"] != "IsMade" {
            faults.push(format!("{id}: is made though subnets were given"));
        }
    }
    faults
}

/// A broker that we make is reached by those who wear the senders' group and by pollers, on its own ports; nobody is let in
/// without a name; passwords are nobody's invention and stand in no template.
pub(super) fn guarded(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, ports) in PORTS {
        let groups = of_type(stack, path, "AWS::EC2::SecurityGroup");
        let inline = groups
            .iter()
            .flat_map(|(id, group)| list(&group["SecurityGroupIngress"]).into_iter().map(|rule| (*id, rule)));
        for (id, rule) in inline.chain(of_type(stack, path, "AWS::EC2::SecurityGroupIngress")) {
            let named = rule["SourceSecurityGroupId"] == json!({ "Ref": "SendersSecurityGroupId" })
                || rule["SourceSecurityGroupId"] == json!({ "Fn::GetAtt": ["Brokers", "GroupId"] });
            let open = ["CidrIp", "CidrIpv6", "SourcePrefixListId"].iter().any(|key| !rule[*key].is_null());
            if !named || open {
                faults.push(format!("{path} {id}: lets in others than senders and pollers"));
            }
            let port = rule["FromPort"].as_u64().filter(|port| rule["ToPort"] == *port);
            if !port.is_some_and(|port| ports.contains(&port)) {
                faults.push(format!("{path} {id}: opens other ports than {ports:?}"));
            }
        }
        for (id, resource) in entries(stack.nested_at(path, "/Resources")) {
            if id != "Nothing" && resource["Condition"] != "IsMade" {
                faults.push(format!("{path} {id}: is made though there is a broker"));
            }
        }
    }
    let (msk, mq) = (PORTS[0].0, PORTS[1].0);
    let property = |path, place: &str| stack.nested_at(path, &format!("/Resources/{place}"));
    let secret = "{{resolve:secretsmanager:${Login}:SecretString:password}}";
    let expect = [
        (msk, "Cluster/Properties/ClientAuthentication/Sasl/Iam/Enabled", json!(true), "knows nobody"),
        (mq, "Broker/Properties/PubliclyAccessible", json!(false), "is reached from outside"),
        (
            mq,
            "Broker/Properties/SecurityGroups",
            json!([{ "Fn::GetAtt": ["Brokers", "GroupId"] }]),
            "is open",
        ),
        (
            msk,
            "Cluster/Properties/VpcConfigs/0/SecurityGroups",
            json!([{ "Fn::GetAtt": ["Brokers", "GroupId"] }]),
            "is open",
        ),
        (mq, "Broker/Properties/Users/0/Password", json!({ "Fn::Sub": secret }), "has a known password"),
        (mq, "Login/Properties/SecretString", Value::Null, "has a known password"),
        (
            mq,
            "Login/Properties/GenerateSecretString/ExcludePunctuation",
            json!(true),
            "has a password that breaks its URL",
        ),
    ];
    for (path, place, expect, why) in expect {
        if property(path, place) != &expect {
            faults.push(format!("{path}: {place} is not {expect}: it {why}"));
        }
    }
    let long = property(mq, "Login/Properties/GenerateSecretString/PasswordLength").as_u64();
    if long.is_none_or(|long| long < 32) {
        faults.push(format!("{mq}: the password is shorter than 32 characters"));
    }
    faults
}
