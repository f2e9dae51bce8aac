param name string
param runtime string = 'node'
resource plan 'Microsoft.Web/serverfarms@2022-03-01' = {
  name: name
}
