// AWS's own client against fake_aws.mjs: what the fake accepts is what AWS's SDK sends.
//   node sdk_client.mjs URL ACCESS_KEY SECRET REPOSITORY
import { CreateRepositoryCommand, DescribeRepositoriesCommand, ECRClient, GetAuthorizationTokenCommand } from "@aws-sdk/client-ecr";

const [, , endpoint, accessKeyId, secretAccessKey, repositoryName] = process.argv;
const client = new ECRClient({ endpoint, region: "eu-central-1", credentials: { accessKeyId, secretAccessKey }, maxAttempts: 1 });
try {
  const { authorizationData } = await client.send(new GetAuthorizationTokenCommand({}));
  const { repository } = await client.send(new CreateRepositoryCommand({ repositoryName }));
  const { repositories } = await client.send(new DescribeRepositoriesCommand({ repositoryNames: [repositoryName] }));
  console.log(JSON.stringify({ user: Buffer.from(authorizationData[0].authorizationToken, "base64").toString().split(":")[0],
    arn: repository.repositoryArn, found: repositories.length }));
} catch (error) {
  console.log(JSON.stringify({ error: error.name }));
}
